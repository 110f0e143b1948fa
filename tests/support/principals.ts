import type { Authenticator } from "../../broker/admission.ts";
import type { Principal, Profile } from "../../lib/contracts/directory.ts";

/** A principal as the directory would make it, with ids that need no randomness. */
export function principal(name: string, profile: Profile, change: Partial<Principal> = {}): Principal {
  const kind = profile === "machine" || profile === "service" ? profile : "person";
  return {
    v: 1,
    name,
    kind,
    profile,
    sub: kind === "person" ? `p-${Buffer.from(name).toString("hex").padEnd(32, "0").slice(0, 32)}` : name,
    active: true,
    publicKey: null,
    credential: kind === "person" ? "password" : "secret",
    speaksFor: kind === "machine" ? [name] : [],
    registeredAt: "2026-11-24T05:44:05.000Z",
    ...change,
  };
}

/** Admits a fixed set of principals, each with `<name>-pass` as password: for tests of the hub alone. */
export function fixedAuthenticator(principals: readonly Principal[]): Authenticator {
  const byName = new Map(principals.map((entry) => [entry.name, entry]));
  return {
    async authenticate({ user, password }) {
      const found = byName.get(user);
      return found !== undefined && password === `${user}-pass`
        ? { principal: found, session: null }
        : { refused: "bad_credentials" };
    },
    principal: (name) => byName.get(name),
    certified: ({ user }) => {
      const found = byName.get(user);
      return found?.active === true ? { principal: found, session: null } : { refused: "bad_credentials" };
    },
  };
}
