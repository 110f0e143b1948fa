import type { Outcome } from "../client/outcome.ts";
import type { Terminal } from "../client/terminal.ts";
import type { Groups } from "./groups.ts";

type SetupOptions = { code?: string; user?: string; passwordStdin?: true };
type LoginOptions = { user?: string; passwordStdin?: true };

/** `setup`, `login`, `logout`: the commands that do not need to be signed in. */
export function addSignInCommands({ program, act, terminal }: Groups): void {
  const setup = program
    .command("setup")
    .description("make the first administrator, with the one-time code that the first start has shown")
    .option("--code <code>", "the one-time code")
    .option("--user <name>", "the administrator's name")
    .option("--password-stdin", "read the password from standard input")
    .addHelpText("after", '\nExample:\n  echo "$SECRET" | rastro setup --code 7KQ2-M4XW --user ana --password-stdin');
  act(setup, (options: SetupOptions) => runSetup(terminal, options));

  const login = program
    .command("login")
    .description("sign in and remember it for the next commands")
    .option("--user <name>", "who signs in")
    .option("--password-stdin", "read the password from standard input")
    .addHelpText("after", "\nExample:\n  rastro login --user maria");
  act(login, (options: LoginOptions) => runLogin(terminal, options));

  const logout = program.command("logout").description("end the remembered sign-in, here and at the hub");
  act(logout, () => runLogout(terminal));
}

async function runSetup(terminal: Terminal, options: SetupOptions): Promise<Outcome> {
  const { ask, newPassword, readStdinLines } = await import("../client/terminal.ts");
  const { findHub } = await import("../client/hub.ts");
  const { SetupRequest } = await import("../../lib/contracts/directory.ts");
  const { parseValue } = await import("../../lib/contracts/parse.ts");
  const hub = findHub(terminal.env);
  const lines = options.passwordStdin ? await readStdinLines(terminal) : null;
  const code = (options.code ?? (await ask(terminal, "One-time code"))).trim();
  const user = options.user ?? (await ask(terminal, "Name of the administrator", "admin"));
  const password = await newPassword(terminal, lines, user);
  await hub.directory.setup(parseValue(SetupRequest, { code, user, password }, "the set-up"));
  return {
    data: { user, profile: "administrator" },
    text: `${user} is the first administrator. Sign in with: rastro login --user ${user}`,
  };
}

async function runLogin(terminal: Terminal, options: LoginOptions): Promise<Outcome> {
  const { ask, knownPassword, readStdinLines } = await import("../client/terminal.ts");
  const { findHub } = await import("../client/hub.ts");
  const { APP } = await import("../client/sign-in.ts");
  const { credentialsFile, storeSession } = await import("../client/credentials.ts");
  const { Segment } = await import("../../lib/contracts/names.ts");
  const { parseValue } = await import("../../lib/contracts/parse.ts");
  const hub = findHub(terminal.env);
  const lines = options.passwordStdin ? await readStdinLines(terminal) : null;
  const user = parseValue(Segment, options.user ?? (await ask(terminal, "User name")), "the user name");
  const password = await knownPassword(terminal, lines, user);
  const session = await hub.directory.signIn({ user, password, app: APP });
  await storeSession(terminal.env, hub.settings.brokerUrl, session);
  const { profile, expiresAt } = session;
  const file = credentialsFile(terminal.env);
  return {
    data: { user, profile, expiresAt, file },
    text: `Signed in as ${user} (${profile}) until ${expiresAt}; kept in ${file}.`,
  };
}

async function runLogout(terminal: Terminal): Promise<Outcome> {
  const { findHub } = await import("../client/hub.ts");
  const { storedSession, storeSession } = await import("../client/credentials.ts");
  const hub = findHub(terminal.env);
  const session = await storedSession(terminal.env, hub.settings.brokerUrl);
  if (session === undefined) return { data: { user: null }, text: "There was no stored sign-in." };
  await storeSession(terminal.env, hub.settings.brokerUrl, null);
  const ended = await hub.directory.signOut({ name: session.user, token: session.token }).then(
    () => true,
    () => false,
  );
  const there = ended ? "" : ` The hub could not be told; the session ends there at ${session.expiresAt}.`;
  return { data: { user: session.user, endedAtHub: ended }, text: `${session.user} is signed out.${there}` };
}
