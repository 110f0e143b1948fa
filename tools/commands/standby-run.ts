import { readFile } from "node:fs/promises";
import { hostname, userInfo } from "node:os";
import { join as joinPath, resolve } from "node:path";
import { v7 as newId } from "uuid";
import manifest from "../../package.json" with { type: "json" };
import { ServiceKeyRequest } from "../../lib/contracts/directory.ts";
import { RastroError } from "../../lib/contracts/errors.ts";
import { BookName, plainText } from "../../lib/contracts/names.ts";
import { parseJson, parseValue } from "../../lib/contracts/parse.ts";
import { Invitation, type PromotionMark, StandbyState } from "../../lib/contracts/standby.ts";
import { filters } from "../../lib/contracts/topics.ts";
import { type Folders, foldersOf } from "../../lib/runtime/folders.ts";
import { loadOrCreateKey } from "../../lib/runtime/keys.ts";
import { codeOf, replaceFile } from "../../lib/runtime/new-file.ts";
import { readPlant } from "../../lib/runtime/plant.ts";
import { isLoopback, readSettings, type Settings } from "../../lib/runtime/settings.ts";
import { logKeysOf, readJoined } from "../../services/standby/joined.ts";
import { promote, type PromoteOptions as Promotion } from "../../services/standby/promote.ts";
import { startOver } from "../../services/standby/start-over.ts";
import { learnErasures } from "../backup/learn-erasures.ts";
import { knownHere } from "../backup/known-here.ts";
import { EXIT, type Outcome } from "../client/outcome.ts";
import { list, localTime, table } from "../client/print.ts";
import { startProgress } from "../client/progress.ts";
import type { Terminal } from "../client/terminal.ts";
import { usageError } from "../client/usage.ts";
import type { AddOptions, JoinOptions, PromoteOptions, RestoreOptions, StartOverOptions } from "./standby.ts";

/** Runs the standby in this process, which it ends itself. */
export async function runStandby(): Promise<Outcome> {
  await import("../../services/standby/main.ts");
  return new Promise<never>(() => undefined);
}

export async function showKey(terminal: Terminal): Promise<Outcome> {
  const { publicRaw } = await loadOrCreateKey(foldersOf(readSettings(terminal.env).data).standbyKey);
  const publicKey = publicRaw.toString("base64");
  return { data: { publicKey }, text: publicKey };
}

/** @throws RastroError what the directory answers; `store_unusable` where the books have no keys yet. */
export async function addStandby(terminal: Terminal, key: string, options: AddOptions): Promise<Outcome> {
  const settings = readSettings(terminal.env);
  const request = parseValue(ServiceKeyRequest, { publicKey: key }, "the public key");
  const invitation = await invite(settings, options.url ?? addressOf(settings));
  const { withHub } = await import("../client/session.ts");
  await withHub(terminal.env, (hub) => hub.directory.admitStandby(hub.bearer, request));
  const line = Buffer.from(JSON.stringify(invitation)).toString("base64url");
  const text = `The standby is registered. On its computer:\n\nrastro standby join ${line}`;
  return { data: { invitation, line }, text };
}

export async function removeStandby(terminal: Terminal): Promise<Outcome> {
  const { withHub } = await import("../client/session.ts");
  await withHub(terminal.env, (hub) => hub.directory.revokeStandby(hub.bearer));
  return { data: { active: false }, text: 'The standby is let in no more; "rastro standby add" lets one in again.' };
}

async function invite(settings: Settings, url: string): Promise<Invitation> {
  const folders = foldersOf(settings.data);
  const isTls = /^(?:mqtts|wss):/.test(url);
  const keyOf = async (book: BookName) => [(await readText(folders.logPublicKey(book))).trim()];
  const invitation = {
    v: 1,
    plant: await readPlant(settings.data),
    url,
    ca: isTls ? await readText(folders.authorityCertificate) : null,
    logs: { production: await keyOf("production"), audit: await keyOf("audit") },
  };
  return parseValue(Invitation, invitation, "the invitation");
}

/** Where others find the broker: over TLS as soon as it is open to the network. */
function addressOf({ brokerUrl, externalBroker, tlsHost, tlsNames, mqttsPort }: Settings): string {
  if (externalBroker || isLoopback(tlsHost)) return brokerUrl;
  return `mqtts://${tlsNames[0] ?? hostname()}:${mqttsPort}`;
}

export async function join(terminal: Terminal, line: string, options: JoinOptions): Promise<Outcome> {
  const folders = foldersOf(readSettings(terminal.env).data);
  const text = Buffer.from(line, "base64url").toString("utf8");
  const invitation = parseJson(Invitation, text, "the invitation");
  logKeysOf(invitation);
  await refuseOther(folders, invitation, options.repin === true);
  if (invitation.ca !== null) await replaceFile(folders.standbyAuthority, invitation.ca, 0o644);
  await replaceFile(folders.standbyJoined, `${JSON.stringify(invitation)}\n`);
  const facts = list([
    ["plant", invitation.plant.id],
    ["broker", invitation.url],
    ["log keys", [...invitation.logs.production, ...invitation.logs.audit].join(" ")],
  ]);
  return { data: invitation, text: `${facts}\n\nJoined. "rastro standby" follows it.` };
}

/** What was pinned is what everything proven so far rests on. */
async function refuseOther(folders: Folders, { plant, logs }: Invitation, repin: boolean): Promise<void> {
  const before = await readJoined(folders.standbyJoined).catch((error: unknown) => {
    if (error instanceof RastroError && error.code === "bad_setting") return null;
    throw error;
  });
  if (before === null) return;
  const isOther = before.plant.id !== plant.id;
  if (!isOther && (repin || JSON.stringify(before.logs) === JSON.stringify(logs))) return;
  const why = isOther
    ? `it follows the plant ${before.plant.id}; name another data folder in RASTRO_DATA`
    : "it has pinned other log keys; find out why they differ, then use --repin";
  throw new RastroError({ code: "not_allowed", message: `Joining ${plant.id} failed: ${why}.`, given: plant.id });
}

/** It says something whenever a checkpoint comes, which is once a minute at least. */
const SILENT_MS = 150_000;
const SILENT = "the standby has said nothing since";

/** What the standby said last: the broker retains it, also while the standby is away. */
export async function showStatus(terminal: Terminal): Promise<Outcome> {
  const { withHub } = await import("../client/session.ts");
  const said = await withHub(terminal.env, (hub) => hub.retained(filters.everyStandbyBook));
  const states = [...said]
    .map(([topic, text]) => parseJson(StandbyState, text, `what stands on ${topic}`))
    .map((one) => (Date.now() - Date.parse(one.at) > SILENT_MS ? { ...one, message: one.message ?? SILENT } : one))
    .toSorted((one, other) => (one.book < other.book ? -1 : 1));
  const rows = states.map((one) => [
    one.book,
    one.state,
    one.proven?.size ?? null,
    one.behind.records,
    localTime(one.at),
    one.message,
  ]);
  const isWell = states.length > 0 && states.every(({ message }) => message === null);
  return {
    data: states,
    text: await table(
      ["book", "state", "proven", "behind", "said at", "message"],
      rows,
      "No standby has said anything.",
    ),
    exit: isWell ? EXIT.done : EXIT.no,
  };
}

export async function runPromote(terminal: Terminal, options: PromoteOptions): Promise<Outcome> {
  if (options.yes !== true) throw usageError("--yes", "left out", "it, once the hub is known to be gone");
  return place(terminal, { act: "promoted", books: ["production", "audit"], options });
}

export async function runRestore(terminal: Terminal, options: RestoreOptions): Promise<Outcome> {
  const book = parseValue(BookName, options.book, "--book");
  if (options.yes !== true)
    throw usageError("--yes", "left out", "it, since what is in the book's place is moved aside");
  return place(terminal, { act: "restored", books: [book], options });
}

async function place(
  terminal: Terminal,
  o: { act: Promotion["act"]; books: BookName[]; options: PromoteOptions & { from?: string } },
): Promise<Outcome> {
  const { data } = readSettings(terminal.env);
  const from = foldersOf(resolve(o.options.from ?? data));
  const joined = await readJoined(from.standbyJoined);
  const to = resolve(o.options.to ?? data);
  const bars = progressOf(terminal);
  try {
    const marks = await promote({
      act: o.act,
      books: o.books,
      from,
      to: foldersOf(to),
      joined,
      logKeys: logKeysOf(joined),
      known: (book) => knownHere(foldersOf(to), joined.plant.id, book),
      olderOnPurpose: o.options.olderOnPurpose === true,
      by: userInfo().username,
      reason: parseValue(plainText(500), o.options.reason, "--reason"),
      newId,
      now: Date.now,
      onStep: bars.show,
    });
    // The list of who was erased is the hub's and in no copy; the book of audit tells of them.
    const erasures = await learnErasures(foldersOf(to));
    return { data: marks, text: [...marks.map(markText), erasuresText(erasures)].join("\n\n") };
  } finally {
    await bars.stop();
  }
}

function markText({ book, size, root, known, lacking, aside }: PromotionMark): string {
  return list([
    ["book", book],
    ["records", known > size ? `${size} of ${known} that are known to have been there` : size],
    ["root", root],
    ["set apart", lacking === 0 ? "all of it came with it" : `${lacking} without their bytes, which are not here`],
    ["before", aside === null ? "nothing was there" : `moved to ${aside}`],
  ]);
}

function erasuresText(added: number | null): string {
  if (added === null) return "There is no book of audit here that could tell who was erased.";
  return `${added} erasures were added to the list that the hub applies at its start.`;
}

/** One bar after the other, one for each step of each book. */
function progressOf(terminal: Terminal): { show: NonNullable<Promotion["onStep"]>; stop: () => Promise<void> } {
  let shown = "";
  let bar: ReturnType<typeof startProgress> | null = null;
  const stop = async () => (await bar)?.stop();
  return {
    show(book, step, done, of) {
      if (shown !== `${book} ${step}`) {
        void stop();
        bar = startProgress(terminal.stderr, step === "write" ? `writing ${book}` : `verifying ${book}`, of);
        shown = `${book} ${step}`;
      }
      if (bar !== null) void update(bar, done);
    },
    stop,
  };
}

async function update(bar: ReturnType<typeof startProgress>, done: number): Promise<void> {
  (await bar).update(done, "");
}

export async function runStartOver(terminal: Terminal, options: StartOverOptions): Promise<Outcome> {
  const name = parseValue(BookName, options.book, "--book");
  if (options.yes !== true) throw usageError("--yes", "left out", "it, once it has been found out what happened");
  const folders = foldersOf(readSettings(terminal.env).data);
  const { plant } = await readJoined(folders.standbyJoined);
  const app = `rastro-cli@${manifest.version}`;
  const data = await startOver({ book: name, plant: plant.id, folders, app, now: Date.now });
  const done = `The copy of ${name} has ${data.records} records, all proven; ${data.removed} were removed.`;
  const before = joinPath(folders.mirrorBackups(name), data.backup ?? "");
  return {
    data: { book: name, ...data },
    text: data.backup === null ? done : `${done}\nWhat it was before is in ${before}`,
  };
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    const message = `Reading ${file} failed (${codeOf(cause) ?? "unknown reason"}); run this on the hub, after its first start.`;
    throw new RastroError({ code: "store_unusable", message, given: file }, { cause });
  }
}
