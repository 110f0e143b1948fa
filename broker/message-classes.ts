/** What a message is about, as it is counted apart: by its topic alone, so that a made-up topic makes no class. */
export const MESSAGE_CLASSES = [
  "status",
  "summary",
  "presence",
  "events",
  "receipts",
  "commands",
  "requests",
  "responses",
  "directory",
  "other",
] as const;
export type MessageClass = (typeof MESSAGE_CLASSES)[number];

const KNOWN: ReadonlySet<string> = new Set(MESSAGE_CLASSES);

/** The class of a topic: its first level, or the third below `machines` and `services`. */
export function classOf(topic: string): MessageClass {
  const [root = "", , leaf = ""] = topic.split("/", 3);
  const word = root === "machines" || root === "services" ? leaf : root;
  return KNOWN.has(word) ? (word as MessageClass) : "other";
}

/** A count of each class. */
export function newClassCounts(): Record<MessageClass, number> {
  return Object.fromEntries(MESSAGE_CLASSES.map((name) => [name, 0])) as Record<MessageClass, number>;
}
