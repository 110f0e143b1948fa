import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { z } from "zod";
import { Session } from "../../lib/contracts/directory.ts";
import { RastroError } from "../../lib/contracts/errors.ts";

/** What `rastro login` stored: one session per broker address, so that several hubs do not get in each other's way. */
const Credentials = z.object({ v: z.literal(1), sessions: z.record(z.string(), Session) });
type Credentials = z.infer<typeof Credentials>;

/** `$XDG_CONFIG_HOME/rastro/credentials.json` (XDG Base Directory Specification), readable by its owner alone. */
export function credentialsFile(env: NodeJS.ProcessEnv): string {
  return join(env["XDG_CONFIG_HOME"] || join(homedir(), ".config"), "rastro", "credentials.json");
}

/** The stored session for a broker; undefined when there is none. @throws RastroError `bad_setting` when the file is damaged. */
export async function storedSession(env: NodeJS.ProcessEnv, brokerUrl: string): Promise<Session | undefined> {
  return (await load(credentialsFile(env))).sessions[brokerUrl];
}

/** Stores or, with null, forgets the session for a broker. */
export async function storeSession(env: NodeJS.ProcessEnv, brokerUrl: string, session: Session | null): Promise<void> {
  const file = credentialsFile(env);
  const { sessions } = await load(file);
  const { [brokerUrl]: _replaced, ...others } = sessions;
  const kept = session === null ? others : { ...others, [brokerUrl]: session };
  if (Object.keys(kept).length === 0) await rm(file, { force: true });
  else await save(file, { v: 1, sessions: kept });
}

async function load(file: string): Promise<Credentials> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { v: 1, sessions: {} };
    throw unusable("Reading", file, error);
  }
  try {
    return Credentials.parse(JSON.parse(text));
  } catch (error) {
    throw unusable("Reading", file, error, "it is damaged; remove it and sign in again with: rastro login");
  }
}

/** A new file takes the place of the old one, so that its mode is right from its first byte. */
async function save(file: string, credentials: Credentials): Promise<void> {
  const draft = `${file}.${process.pid}.new`;
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    const handle = await open(draft, "w", 0o600);
    try {
      await handle.chmod(0o600);
      await handle.writeFile(`${JSON.stringify(credentials, null, 2)}\n`);
    } finally {
      await handle.close();
    }
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true });
    throw unusable("Writing", file, error);
  }
}

function unusable(action: string, file: string, cause: unknown, advice?: string): RastroError {
  const why = advice ?? (cause instanceof Error ? cause.message : String(cause));
  return new RastroError({ code: "bad_setting", message: `${action} ${file} failed: ${why}`, given: file }, { cause });
}
