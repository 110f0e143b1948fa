import type { Outcome } from "../client/outcome.ts";
import type { Terminal } from "../client/terminal.ts";
import type { Groups } from "./groups.ts";

type ListOptions = { user?: string };
type EndOptions = { user?: string; mineOthers?: true };

/** `session list`, `session end`. */
export function addSessionCommands({ program, act, terminal }: Groups): void {
  const session = program.command("session").description("sessions: who is signed in, and ending that");

  const list = session
    .command("list")
    .description("list who is signed in, from where and since when: yourself, as administrator everybody")
    .option("--user <name>", "only this person's")
    .addHelpText("after", "\nExample:\n  rastro session list --user maria");
  act(list, (options: ListOptions) => runList(terminal, options));

  const end = session
    .command("end")
    .argument("[session]", "the id of one session, as session list shows it")
    .description("end sessions: your own, as administrator anybody's; open connections are cut at once")
    .option("--user <name>", "all of this person's")
    .option("--mine-others", "all of your own but this one")
    .addHelpText(
      "after",
      "\nExamples:\n  rastro session end s-bcf0f6e644816a9e\n  rastro session end --user maria      she can sign in again; to keep her out: rastro user lock maria\n  rastro session end --mine-others     after a password was typed on a screen that others use",
    );
  act(end, (id: string | undefined, options: EndOptions) => runEnd(terminal, id, options));
}

async function runList(terminal: Terminal, options: ListOptions): Promise<Outcome> {
  const { withHub } = await import("../client/session.ts");
  const { localTime, table } = await import("../client/print.ts");
  const rows = await withHub(terminal.env, (hub) => hub.directory.sessionList(hub.bearer, options.user ?? null));
  const text = await table(
    ["session", "user", "profile", "app", "since", "last seen", "expires", "address", "connected"],
    rows.map((row) => [
      row.session === null ? "(password)" : `${row.session}${row.current ? " (this one)" : ""}`,
      row.user,
      row.profile,
      row.app,
      localTime(row.since),
      localTime(row.lastSeen),
      row.expiresAt === null ? null : localTime(row.expiresAt),
      row.addresses.length === 0 ? null : row.addresses.join(", "),
      row.connected ? row.clients.join(", ") : "no",
    ]),
    "Nobody is signed in.",
  );
  return { data: rows, text };
}

async function runEnd(terminal: Terminal, id: string | undefined, options: EndOptions): Promise<Outcome> {
  const { usageError } = await import("../client/usage.ts");
  const { withHub } = await import("../client/session.ts");
  const { SessionEndRequest } = await import("../../lib/contracts/directory.ts");
  const { parseValue } = await import("../../lib/contracts/parse.ts");
  const { user, mineOthers } = options;
  const given = [
    ...(id === undefined ? [] : [{ session: id }]),
    ...(user === undefined ? [] : [{ user }]),
    ...(mineOthers === true ? [{ mineOthers }] : []),
  ];
  if (given.length !== 1) {
    throw usageError("session end", `${given.length} of these`, "one of <session>, --user <name> and --mine-others");
  }
  const request = parseValue(SessionEndRequest, given[0], "the sessions to end");
  const ended = await withHub(terminal.env, (hub) => hub.directory.sessionEnd(hub.bearer, request));
  const count = ended.sessions.length;
  const besides = ended.connections === 0 ? "" : ` and ${ended.connections} connections that had none`;
  return { data: ended, text: `${count} ${count === 1 ? "session" : "sessions"}${besides} ended.` };
}
