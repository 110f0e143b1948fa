import type { Principal } from "../lib/contracts/directory.ts";

/** What a connection presents. `address` is the peer's IP address. */
export type Credentials = { user: string; password: string; address: string };

/** A name that the plant's own authority has certified, in place of a password. `issuedAt`: by the hub's clock, ms. */
export type Certified = { user: string; issuedAt: number; address: string };

/**
 * `bad_credentials` also stands for unknown and disabled names: whoever tries must not learn which names exist.
 * `session` is the segment of the signed-in session when its token was the password, else null.
 */
export type Verdict =
  | { principal: Principal; session: string | null }
  | { refused: "bad_credentials" | "locked_out" | "busy" };

/**
 * The narrow port through which the hub reads the directory.
 *
 * `principal` answers at once from memory and returns the same object until the principal changes. `authenticate` may
 * take as long as a password hash does, and never rejects for what a client sent.
 */
export interface Authenticator {
  authenticate(credentials: Credentials): Promise<Verdict>;
  principal(name: string): Principal | undefined;
  /** Admits the holder of a client certificate that was checked; a name that is locked, revoked or unknown is refused. */
  certified(certified: Certified): Verdict;
}
