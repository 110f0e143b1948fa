import type { Logger } from "pino";
import { Principal, SignedPrincipal } from "../contracts/directory.ts";
import { RastroError, toProblem } from "../contracts/errors.ts";
import { isErased } from "../contracts/privacy.ts";
import { parseJson } from "../contracts/parse.ts";
import { filters, parsePrincipal } from "../contracts/topics.ts";
import { verifySignature } from "../ledger/signature.ts";
import type { Link } from "./link.ts";
import { firstBytes } from "./refused.ts";
import { type After, after as systemAfter } from "./timing.ts";

/** What the directory says of every name, as far as it has come in. */
export interface Principals {
  byName(name: string): Principal | undefined;
  bySub(sub: string): Principal | undefined;
  all(): Principal[];
  /**
   * Resolves when principals have come in and none has followed for a moment: MQTT marks no end of what was retained.
   * Resolves once and stays so; while nothing at all has come in it waits.
   */
  whenLoaded(): Promise<void>;
  /** Called after each change; null when the name is no longer announced. */
  onChange(listener: (name: string, principal: Principal | null) => void): void;
}

/** Looks up raw Ed25519 public keys for the checking of signatures; null for a name without a key. */
export function keysOf(principals: Pick<Principals, "byName">): (name: string) => Uint8Array | null {
  return (name) => {
    const key = principals.byName(name)?.publicKey ?? null;
    return key === null ? null : Buffer.from(key, "base64");
  };
}

/** The login by which a person, machine or service is shown; null for nobody, and for who was erased. */
export function nameOf(principals: Pick<Principals, "bySub">, sub: string): string | null {
  const principal = principals.bySub(sub);
  return principal === undefined || isErased(principal) ? null : principal.name;
}

/** Calls the listener with the random id of each person who is erased, now or later. */
export function whenErased(principals: Principals, listener: (sub: string) => void): void {
  const tell = (principal: Principal | null) => {
    if (principal !== null && isErased(principal)) listener(principal.sub);
  };
  principals.all().forEach(tell);
  principals.onChange((_name, principal) => tell(principal));
}

/** So long nothing follows: the retained principals are in. */
const QUIET_MS = 150;

/**
 * Follows the directory's principals. One whose signature does not fit the directory's key, or that names another
 * name than its topic, is logged and not taken: a broker that lies cannot make anybody.
 *
 * @param o.directoryKey - raw 32 bytes.
 */
export function followPrincipals(o: { link: Link; directoryKey: Uint8Array; log: Logger; after?: After }): Principals {
  const byName = new Map<string, Principal>();
  const bySub = new Map<string, Principal>();
  const listeners: ((name: string, principal: Principal | null) => void)[] = [];
  const loaded = createQuiet(o.after ?? systemAfter, QUIET_MS);

  function take(topic: string, payload: Buffer): void {
    const name = parsePrincipal(topic);
    if (name === null) return;
    const principal = payload.length === 0 ? null : open(name, topic, payload);
    if (principal === undefined) return;
    keep(name, principal);
    loaded.noted();
    for (const listener of listeners) listener(name, principal);
  }

  function open(name: string, topic: string, payload: Buffer): Principal | undefined {
    try {
      return openPrincipal(name, payload, o.directoryKey);
    } catch (error) {
      o.log.error({ topic, code: toProblem(error).code, payload: firstBytes(payload) }, "a principal is not taken");
      return undefined;
    }
  }

  function keep(name: string, principal: Principal | null): void {
    const before = byName.get(name);
    if (before !== undefined && bySub.get(before.sub) === before) bySub.delete(before.sub);
    byName.delete(name);
    if (principal === null) return;
    // That a name was taken away may have been told while nobody listened.
    const known = isErased(principal) ? bySub.get(principal.sub) : undefined;
    if (known !== undefined) byName.delete(known.name);
    byName.set(name, principal);
    bySub.set(principal.sub, principal);
  }

  o.link.subscribe(filters.everyPrincipal, take).catch((error: unknown) => {
    o.log.error({ err: error }, "the directory's principals cannot be followed");
  });
  return {
    byName: (name) => byName.get(name),
    bySub: (sub) => bySub.get(sub),
    all: () => [...byName.values()],
    whenLoaded: () => loaded.done,
    onChange: (listener) => void listeners.push(listener),
  };
}

/** @throws RastroError `malformed`, `schema` or `bad_signature`. */
function openPrincipal(name: string, payload: Uint8Array, directoryKey: Uint8Array): Principal {
  const signed = parseJson(SignedPrincipal, payload, `the principal ${name}`);
  if (!verifySignature(directoryKey, Buffer.from(signed.body), signed.sig))
    throw notSigned(name, "it is not the directory's");
  const principal = parseJson(Principal, signed.body, `the principal ${name}`);
  if (principal.name !== name) throw notSigned(name, `it was made for ${principal.name}`);
  return principal;
}

function notSigned(name: string, why: string): RastroError {
  return new RastroError({
    code: "bad_signature",
    message: `Reading the principal ${name} failed: ${why}.`,
    given: name,
  });
}

function createQuiet(after: After, ms: number): { done: Promise<void>; noted(): void } {
  let finish = () => {};
  let cancel = () => {};
  const done = new Promise<void>((resolve) => (finish = resolve));
  return {
    done,
    noted() {
      cancel();
      cancel = after(ms, finish);
    },
  };
}
