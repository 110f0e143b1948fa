import { BookName, Segment } from "./names.ts";

/*
 * Every topic of the system is built and parsed here and nowhere else.
 *
 * Events and receipts carry the book's name as their last level: each book has an outbox of its own with its own
 * count (a gap in it means a loss), and a service never reads what another book owns.
 */

/** Publishers whose outbox topics begin with this word. */
export type OutboxOwner = { kind: "machines" | "services"; name: string };

/** What a machine says of a command. */
export type CommandAnswerKind = "ack" | "progress" | "result";

export const topics = {
  status: (machine: string) => `machines/${machine}/status`,
  summary: (machine: string) => `machines/${machine}/summary`,
  presence: (machine: string) => `machines/${machine}/presence`,
  command: (machine: string, command: string) => `machines/${machine}/commands/${command}`,
  commandAnswer: (machine: string, command: string, kind: CommandAnswerKind) =>
    `machines/${machine}/commands/${command}/${kind}`,
  events: (owner: OutboxOwner, book: BookName) => `${owner.kind}/${owner.name}/events/${book}`,
  receipts: (owner: OutboxOwner, book: BookName) => `${owner.kind}/${owner.name}/receipts/${book}`,
  request: (user: string, session: string, service: string, operation: string, request: string) =>
    `requests/${user}/${session}/${service}/${operation}/${request}`,
  response: (user: string, session: string, request: string) => `responses/${user}/${session}/${request}`,
  /** Who vouches for a log stands in the note itself. */
  checkpoint: (book: BookName) => `books/${book}/checkpoint`,
  /** How the log's key came to be the one of now: `LogRotations` of the books' contract. */
  rotations: (book: BookName) => `books/${book}/rotations`,
  witnessAdd: (machine: string, book: BookName, request: string) =>
    `machines/${machine}/witness/${book}/add/${request}`,
  witnessResponse: (machine: string, book: BookName, request: string) =>
    `machines/${machine}/witness/${book}/response/${request}`,
  witnessAlarm: (machine: string, book: BookName) => `machines/${machine}/witness/${book}/alarm`,
  alarm: (service: string, alarm: string) => `services/${service}/alarms/${alarm}`,
  /** What a standby says of its copy of a book. */
  standbyBook: (book: BookName) => `services/standby/books/${book}`,
  principal: (name: string) => `directory/principals/${name}`,
} as const;

export const filters = {
  everyStatus: "machines/+/status",
  everySummary: "machines/+/summary",
  everyPresence: "machines/+/presence",
  everyCommandAnswer: "machines/+/commands/+/+",
  commandsTo: (machine: string) => `machines/${machine}/commands/+`,
  everyPrincipal: "directory/principals/+",
  eventsFor: (book: BookName) => [`machines/+/events/${book}`, `services/+/events/${book}`],
  everyCheckpoint: "books/+/checkpoint",
  everyStandbyBook: "services/standby/books/+",
  everyRotations: "books/+/rotations",
  everyWitnessResponse: "machines/+/witness/+/response/+",
  everyWitnessAlarm: "machines/+/witness/+/alarm",
  witnessRequestsTo: (machine: string) => `machines/${machine}/witness/+/add/+`,
  requestsTo: (service: string) => `requests/+/+/${service}/+/+`,
  responsesTo: (user: string, session: string) => `responses/${user}/${session}/+`,
} as const;

export type ParsedRequest = { user: string; session: string; service: string; operation: string; request: string };

/** Takes a request topic apart; null when it is none or a segment is not ours. */
export function parseRequest(topic: string): ParsedRequest | null {
  const [root, user, session, service, operation, request, ...rest] = topic.split("/");
  if (root !== "requests" || rest.length > 0) return null;
  if (![user, session, service, operation, request].every(isSegment)) return null;
  return { user, session, service, operation, request } as ParsedRequest;
}

/** Takes an events topic apart; null when it is none. */
export function parseEvents(topic: string): { owner: OutboxOwner; book: string } | null {
  const [kind, name, word, book, ...rest] = topic.split("/");
  if ((kind !== "machines" && kind !== "services") || word !== "events" || rest.length > 0) return null;
  return isSegment(name) && isSegment(book) ? { owner: { kind, name: name as string }, book: book as string } : null;
}

/** Takes `machines/<id>/<leaf>` apart (status, summary, presence); null when it is none. */
export function parseMachine(topic: string): { machine: string; leaf: string } | null {
  const [root, machine, leaf, ...rest] = topic.split("/");
  if (root !== "machines" || rest.length > 0 || !isSegment(machine) || leaf === undefined) return null;
  return { machine: machine as string, leaf };
}

/** Whether a topic is `machines/<id>/status`. Asked for every message: most are sorted out by their end. */
export function isStatus(topic: string): boolean {
  return topic.endsWith("/status") && parseMachine(topic) !== null;
}

/** Takes `machines/<id>/commands/<name>` apart; null when it is none. */
export function parseCommand(topic: string): { machine: string; name: string } | null {
  const [root, machine, word, name, ...rest] = topic.split("/");
  if (root !== "machines" || word !== "commands" || rest.length > 0) return null;
  return isSegment(machine) && isSegment(name) ? { machine: machine as string, name: name as string } : null;
}

/** Takes `machines/<id>/commands/<name>/(ack|progress|result)` apart; null when it is none. */
export function parseCommandAnswer(topic: string): { machine: string; name: string; kind: CommandAnswerKind } | null {
  const parts = topic.split("/");
  const kind = parts.pop();
  const command = parseCommand(parts.join("/"));
  if (command === null || (kind !== "ack" && kind !== "progress" && kind !== "result")) return null;
  return { ...command, kind };
}

/** Takes `books/<book>/checkpoint` apart; null when it is none. */
export function parseCheckpointTopic(topic: string): BookName | null {
  const [root, book, word, ...rest] = topic.split("/");
  if (root !== "books" || word !== "checkpoint" || rest.length > 0) return null;
  return bookNamed(book);
}

/** What is said between a log and its witness; `request` is null for an alarm, which nobody asked for. */
export type WitnessTopic = {
  machine: string;
  book: BookName;
  kind: "add" | "response" | "alarm";
  request: string | null;
};

/** Takes `machines/<id>/witness/<book>/(add/<request>|response/<request>|alarm)` apart; null when it is none. */
export function parseWitness(topic: string): WitnessTopic | null {
  const [root, machine, word, name, kind, request, ...rest] = topic.split("/");
  const book = bookNamed(name);
  if (root !== "machines" || word !== "witness" || !isSegment(machine) || book === null || rest.length > 0) return null;
  if (kind === "alarm") return request === undefined ? { machine: machine as string, book, kind, request: null } : null;
  if ((kind !== "add" && kind !== "response") || !isSegment(request)) return null;
  return { machine: machine as string, book, kind, request: request as string };
}

/** The name in `directory/principals/<name>`; null when it is another topic. */
export function parsePrincipal(topic: string): string | null {
  const [root, word, name, ...rest] = topic.split("/");
  return root === "directory" && word === "principals" && rest.length === 0 && isSegment(name)
    ? (name as string)
    : null;
}

function bookNamed(text: string | undefined): BookName | null {
  const parsed = BookName.safeParse(text);
  return parsed.success ? parsed.data : null;
}

function isSegment(text: string | undefined): boolean {
  return text !== undefined && Segment.safeParse(text).success;
}

/**
 * Whether a topic lies under a filter, by MQTT 3.1.1 §4.7: `+` one level, `#` the rest and the parent itself; neither
 * matches a first level that begins with `$`.
 */
export function topicMatches(filter: string, topic: string): boolean {
  // Asked several times for each message, so it walks the characters in place instead of making lists of levels.
  if (topic.charCodeAt(0) === DOLLAR && (isLevel(filter, 0, PLUS) || isLevel(filter, 0, HASH))) return false;
  let wanted = 0;
  let given = 0;
  // Each turn begins where a level of both begins, and compares that level.
  for (;;) {
    if (isLevel(filter, wanted, HASH)) return true;
    if (given > topic.length) return false;
    if (isLevel(filter, wanted, PLUS)) {
      wanted += 1;
      while (given < topic.length && topic.charCodeAt(given) !== SLASH) given += 1;
    } else {
      while (wanted < filter.length && filter.charCodeAt(wanted) !== SLASH) {
        if (filter.charCodeAt(wanted) !== topic.charCodeAt(given)) return false;
        wanted += 1;
        given += 1;
      }
      if (given < topic.length && topic.charCodeAt(given) !== SLASH) return false;
    }
    wanted += 1;
    given += 1;
    if (wanted > filter.length) return given > topic.length;
  }
}

const SLASH = 0x2f;
const PLUS = 0x2b;
const HASH = 0x23;
const DOLLAR = 0x24;

/** Whether the level that begins at `from` is this one character. */
function isLevel(filter: string, from: number, character: number): boolean {
  if (filter.charCodeAt(from) !== character) return false;
  return from + 1 === filter.length || filter.charCodeAt(from + 1) === SLASH;
}
