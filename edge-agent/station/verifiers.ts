import { readFile } from "node:fs/promises";
import { z } from "zod";
import { Profile } from "../../lib/contracts/directory.ts";
import { Instant, PersonId, Segment } from "../../lib/contracts/names.ts";
import { parseJson } from "../../lib/contracts/parse.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import { codeOf, replaceFile } from "../../lib/runtime/new-file.ts";
import type { Passwords } from "../../lib/runtime/passwords.ts";

/** A person as the station keeps it: `hash` is argon2id in PHC form, `at` when the hub last let the person in from here. */
const Verifier = z.strictObject({ user: Segment, sub: PersonId, profile: Profile, hash: z.string(), at: Instant });
type Verifier = z.infer<typeof Verifier>;
const VerifierFile = z.strictObject({ v: z.literal(1), people: z.array(Verifier) });

/** A clock may be set back a little; one that is set back further must not make a verifier young again. */
const TOLERANCE_MS = 10 * 60_000;
/** People whom a station remembers, those who signed in last. */
const MAXIMUM = 200;

/** Who it is that signs in. */
export type Known = Pick<Verifier, "user" | "sub" | "profile">;

export interface Verifiers {
  /** Keeps by what the person signs in from now on without the hub. Resolves when it is on disk. */
  keep(person: Known, password: string): Promise<void>;
  /** The person whose password this is, if it is kept and not too old; takes as long for a name that is not there. */
  check(user: string, password: string): Promise<Known | null>;
  /** What stands for a name in records; null for one that is not kept. */
  subOf(user: string): string | null;
  /** Takes what is too old out of the file. */
  prune(): Promise<void>;
  /** Nobody signs in with it any more. Resolves when no file has it. */
  forget(user: string): Promise<void>;
}

/**
 * What a station keeps of those who have signed in at the hub from it, in one file that only its owner can read: login,
 * id, profile and an argon2id hash of the password. What is older than `keepMs` is not taken, and leaves the file with the
 * next change, prune or start. A file that cannot be read is as an empty one: people sign in at the hub again.
 *
 * @param o.keepMs - 0 for keeping nothing.
 * @param o.passwords - asked for at the first use: a station at which nobody signs in computes nothing.
 */
export async function openVerifiers(o: {
  file: string;
  keepMs: number;
  passwords: () => Passwords;
  now: () => number;
  log: Logger;
}): Promise<Verifiers> {
  const people = new Map((await load(o)).map((one) => [one.user, one]));
  let saving: Promise<void> = Promise.resolve();

  const isFresh = ({ at }: Verifier) => {
    const age = o.now() - Date.parse(at);
    return age >= -TOLERANCE_MS && age < o.keepMs;
  };
  const save = () => {
    for (const one of people.values()) if (!isFresh(one)) people.delete(one.user);
    for (const user of [...people.keys()].slice(0, Math.max(0, people.size - MAXIMUM))) people.delete(user);
    const text = `${JSON.stringify({ v: 1, people: [...people.values()] })}\n`;
    saving = saving.catch(() => undefined).then(() => replaceFile(o.file, text, 0o600));
    return saving;
  };
  const prune = async () => {
    if (![...people.values()].every(isFresh)) await save();
  };
  await prune();

  return {
    async keep(person, password) {
      if (o.keepMs === 0) return;
      const hash = await o.passwords().hash(password);
      // Deleted first, so that the map stays in the order of the last sign-in.
      people.delete(person.user);
      people.set(person.user, { ...person, hash, at: new Date(o.now()).toISOString() });
      await save();
    },
    async check(user, password) {
      const kept = people.get(user);
      const fresh = kept !== undefined && isFresh(kept) ? kept : undefined;
      if (!(await o.passwords().verify(fresh?.hash, password)) || fresh === undefined) return null;
      // It may have been forgotten while this was looked at.
      if (people.get(user) !== fresh) return null;
      return { user: fresh.user, sub: fresh.sub, profile: fresh.profile };
    },
    prune,
    subOf: (user) => people.get(user)?.sub ?? null,
    async forget(user) {
      if (people.delete(user)) await save();
    },
  };
}

async function load({ file, log }: { file: string; log: Logger }): Promise<Verifier[]> {
  try {
    return parseJson(VerifierFile, await readFile(file), `the station's file ${file}`).people;
  } catch (err) {
    if (codeOf(err) !== "ENOENT") log.warn({ err }, "nobody signs in without the hub until they have with it");
    return [];
  }
}
