import type { SignedInHub } from "../client/session.ts";
import type { Outcome } from "../client/outcome.ts";
import type { Terminal } from "../client/terminal.ts";
import type { Groups } from "./groups.ts";

type AddOptions = { profile: string; passwordStdin?: true; fullName?: string; badge?: string };
type PasswdOptions = { passwordStdin?: true };

/** `user add`, `user list`, `user passwd`, `user profile`, `user lock`, `user unlock`. */
export function addUserCommands({ program, act, terminal }: Groups): void {
  const user = program.command("user").description("people: who may sign in, and as what");

  const add = user
    .command("add")
    .argument("<name>", "login name: a-z, 0-9 and '-'")
    .description("register a person; administrators only")
    .requiredOption(
      "--profile <profile>",
      "operator, supervisor, coordinator, analyst, administrator, inspector or scada",
    )
    .option("--password-stdin", "read the password from standard input instead of asking")
    .option("--full-name <text>", "the person's name")
    .option("--badge <text>", "number of the badge")
    .addHelpText("after", '\nExample:\n  echo "$SECRET" | rastro user add maria --profile operator --password-stdin');
  act(add, (name: string, options: AddOptions) => runAdd(terminal, name, options));

  act(user.command("list").description("list the people who are registered"), () => runList(terminal));

  const passwd = user
    .command("passwd")
    .argument("[name]", "whose password; your own when left out")
    .description("set a password: your own, or as administrator somebody else's")
    .option(
      "--password-stdin",
      "read from standard input: the new password; for your own two lines, the present one first",
    )
    .addHelpText("after", "\nExample:\n  rastro user passwd maria");
  act(passwd, (name: string | undefined, options: PasswdOptions) => runPasswd(terminal, name, options));

  const profile = user
    .command("profile")
    .argument("<name>", "whose profile")
    .argument("<profile>", "what the person may do from now on")
    .description("set what a person may do; open connections begin anew under it at once; administrators only")
    .addHelpText("after", "\nExample:\n  rastro user profile maria supervisor");
  act(profile, (name: string, wanted: string) => runProfile(terminal, name, wanted));

  const lock = user
    .command("lock")
    .argument("<name>", "who is not let in any more")
    .description("lock a person out: sessions end and connections are cut at once; administrators only")
    .addHelpText("after", "\nExample:\n  rastro user lock maria");
  act(lock, (name: string) => runActive(terminal, name, false));

  const unlock = user
    .command("unlock")
    .argument("<name>", "who may sign in again")
    .description("take a lock away, and the failed sign-ins that were counted; administrators only")
    .addHelpText("after", "\nExample:\n  rastro user unlock maria");
  act(unlock, (name: string) => runActive(terminal, name, true));
}

async function runAdd(terminal: Terminal, name: string, options: AddOptions): Promise<Outcome> {
  const { newPassword, readStdinLines } = await import("../client/terminal.ts");
  const { withHub } = await import("../client/session.ts");
  const { UserAddRequest } = await import("../../lib/contracts/directory.ts");
  const { parseValue } = await import("../../lib/contracts/parse.ts");
  const lines = options.passwordStdin ? await readStdinLines(terminal) : null;
  const given = { name, profile: options.profile, fullName: options.fullName ?? null, badge: options.badge ?? null };
  // Everything but the password is checked before somebody is asked to type one.
  parseValue(UserAddRequest.omit({ password: true }), given, "the user");
  const password = await newPassword(terminal, lines, name);
  const request = parseValue(UserAddRequest, { ...given, password }, "the user");
  const row = await withHub(terminal.env, (hub) => hub.directory.userAdd(hub.bearer, request));
  return { data: row, text: `${row.name} may sign in as ${row.profile} now.` };
}

async function runList(terminal: Terminal): Promise<Outcome> {
  const { withHub } = await import("../client/session.ts");
  const { localTime, table } = await import("../client/print.ts");
  const rows = await withHub(terminal.env, (hub) => hub.directory.userList(hub.bearer));
  const text = await table(
    ["name", "profile", "full name", "badge", "active", "since"],
    rows.map((row) => [
      row.name,
      row.profile,
      row.fullName,
      row.badge,
      row.active ? "yes" : "no",
      localTime(row.registeredAt),
    ]),
    "No person is registered.",
  );
  return { data: rows, text };
}

async function runProfile(terminal: Terminal, name: string, wanted: string): Promise<Outcome> {
  const { withHub } = await import("../client/session.ts");
  const { UserProfileRequest } = await import("../../lib/contracts/directory.ts");
  const { parseValue } = await import("../../lib/contracts/parse.ts");
  const request = parseValue(UserProfileRequest, { profile: wanted }, "the profile");
  await withHub(terminal.env, (hub) => hub.directory.setProfile(hub.bearer, name, request));
  return { data: { name, ...request }, text: `${name} is ${request.profile} now.` };
}

async function runActive(terminal: Terminal, name: string, active: boolean): Promise<Outcome> {
  const { withHub } = await import("../client/session.ts");
  await withHub(terminal.env, (hub) => hub.directory.setUserActive(hub.bearer, name, active));
  return { data: { name, active }, text: active ? `${name} may sign in again.` : `${name} is locked out.` };
}

async function runPasswd(terminal: Terminal, name: string | undefined, options: PasswdOptions): Promise<Outcome> {
  const { newPassword, readStdinLines } = await import("../client/terminal.ts");
  const { withHub } = await import("../client/session.ts");
  const { PasswordRequest } = await import("../../lib/contracts/directory.ts");
  const { parseValue } = await import("../../lib/contracts/parse.ts");
  const lines = options.passwordStdin ? await readStdinLines(terminal) : null;
  const whose = await withHub(terminal.env, async (hub) => {
    const whom = name ?? hub.session.user;
    const current = whom === hub.session.user ? { current: await presentPassword(terminal, hub, lines) } : {};
    const password = await newPassword(terminal, lines, whom);
    await hub.directory.passwd(hub.bearer, whom, parseValue(PasswordRequest, { password, ...current }, "the password"));
    return whom;
  });
  return { data: { name: whose }, text: `The password of ${whose} is set.` };
}

async function presentPassword(terminal: Terminal, hub: SignedInHub, lines: string[] | null): Promise<string> {
  if (hub.password !== null) return hub.password;
  const { knownPassword } = await import("../client/terminal.ts");
  return knownPassword(terminal, lines, hub.session.user);
}
