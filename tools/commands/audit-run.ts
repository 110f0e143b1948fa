import { BookName, Count, Uuid7 } from "../../lib/contracts/names.ts";
import { OPERATIONS, type ResponseOf } from "../../lib/contracts/operations.ts";
import { parseValue } from "../../lib/contracts/parse.ts";
import { checkProof } from "../client/check-proof.ts";
import { EXIT, type Outcome } from "../client/outcome.ts";
import { list, localTime, plain, proofText, table, whoText } from "../client/print.ts";
import { startProgress } from "../client/progress.ts";
import type { Terminal } from "../client/terminal.ts";
import { typedCount } from "../client/usage.ts";
import { verifyText } from "./verify-text.ts";

export type TailOptions = { limit?: string; before?: string };
export type ShowOptions = Record<string, never>;
export type VerifyOptions = { book: string; from?: string; json?: true };

/** Services take requests of at most 10 minutes ahead by their own clocks, which leaves half a minute to differ. */
const VERIFY_TIMEOUT_MS = 9.5 * 60_000;

export async function runTail(terminal: Terminal, options: TailOptions): Promise<Outcome> {
  const given = {
    ...(options.limit === undefined ? {} : { limit: typedCount(options.limit) }),
    ...(options.before === undefined ? {} : { before: typedCount(options.before) }),
  };
  const request = parseValue(OPERATIONS.audit["audit-tail"].request, given, "the options");
  const { withHub } = await import("../client/session.ts");
  const answer = await withHub(terminal.env, (hub) => hub.call("audit", "audit-tail", request));
  const rows = answer.rows.toReversed().map(tailRow);
  return {
    data: answer,
    text: await table(["seq", "time", "what", "who", "object", "reason"], rows, "The book is empty."),
  };
}

type TailAnswer = ResponseOf<"audit", "audit-tail">;

function tailRow(row: TailAnswer["rows"][number]): (string | number | null)[] {
  const { event, added } = row.record as RecordShape;
  const result = added?.result === undefined || added.result === "booked" ? "" : ` (${added.result})`;
  return [
    row.seq,
    event?.at === undefined ? null : localTime(event.at),
    `${happening(event)}${result}`,
    whoText(row.who, event?.actor?.sub ?? null),
    event?.obj === undefined ? null : `${event.obj.kind} ${event.obj.key}${personalText(row.personal)}`,
    event?.reason ? [event.reason.code, textOf(event.reason, row.text)].filter(Boolean).join(": ") : null,
  ];
}

/** The text of a reason; that it is gone when its author was erased. */
function textOf({ text }: { text?: unknown }, opened: string | null): string | null {
  return opened ?? (text ? "(erased)" : null);
}

/** Who the person is of whom a record tells, and from where somebody came; nothing for who may not read it. */
function personalText({ login, address }: TailAnswer["rows"][number]["personal"]): string {
  return `${login ? ` (${login})` : ""}${address ? ` from ${address}` : ""}`;
}

/** What production has booked is told as what it was: an entry made, corrected, voided. */
function happening(event: RecordShape["event"]): string {
  const told = event?.type === "record.booked" ? event.payload?.["type"] : undefined;
  return typeof told === "string" ? told : (event?.type ?? "?");
}

/** As much of a record as is shown in a row; a quarantined one may lack any of it. */
type RecordShape = {
  event?: {
    at?: string;
    type?: string;
    actor?: { sub?: string };
    obj?: { kind: string; key: string };
    reason?: { code: string; text?: unknown } | null;
    payload?: Record<string, unknown>;
  };
  added?: { result?: string };
};

export async function runShow(terminal: Terminal, which: string, _options: ShowOptions): Promise<Outcome> {
  const wanted = /^\d+$/.test(which)
    ? { seq: parseValue(Count, Number(which), "the number of the record") }
    : { id: parseValue(Uuid7, which, "the number or id of the record") };
  const { withHub } = await import("../client/session.ts");
  const answer = await withHub(terminal.env, (hub) => hub.call("audit", "audit-show", wanted));
  const expected = "seq" in wanted ? { seq: wanted.seq } : { event: wanted.id };
  const { check, record } = checkProof(answer.proof, expected);
  const readable = list([
    ["who", whoText(answer.who, (record as RecordShape).event?.actor?.sub ?? null)],
    ["reason", answer.text],
    ...Object.entries(answer.personal).map(([field, opened]): [string, string] => [field, opened ?? "(erased)"]),
  ]);
  const text = [plainJson(record), readable, proofText(check)].join("\n\n");
  const data = { record, who: answer.who, text: answer.text, personal: answer.personal, proof: answer.proof, check };
  return { data, text, exit: check.ok ? EXIT.done : EXIT.no };
}

function plainJson(value: unknown): string {
  return JSON.stringify(value, null, 2).split("\n").map(plain).join("\n");
}

export async function runVerify(terminal: Terminal, options: VerifyOptions): Promise<Outcome> {
  const book = parseValue(BookName, options.book, "--book");
  const from = parseValue(Count, typedCount(options.from ?? "0"), "--from");
  const { withHub } = await import("../client/session.ts");
  const report = await withHub(terminal.env, async (hub) => {
    const { size } = await hub.call(book, "book-head", {});
    const bar = await startProgress(terminal.stderr, `records of the book ${book}`, Math.max(0, size - from));
    const onProgress = (done: number) => bar.update(done, "");
    try {
      return await hub.call(book, "book-verify", { from }, { timeoutMs: VERIFY_TIMEOUT_MS, onProgress });
    } finally {
      bar.stop();
    }
  });
  return { data: report, text: await verifyText(report), exit: report.ok ? EXIT.done : EXIT.no };
}
