import type { Principal } from "../lib/contracts/directory.ts";
import { RastroError } from "../lib/contracts/errors.ts";
import type { Sealed } from "../lib/contracts/events.ts";
import type { Logger } from "../lib/runtime/log.ts";
import { createRefusals, type RefusalReport, type Repeat } from "../lib/runtime/refusals.ts";
import type { Outbox } from "../lib/storage/outbox/outbox.ts";
import { seal } from "../lib/storage/people/sealing.ts";
import type { Store } from "../lib/storage/store/store.ts";
import { type AccessCode, accessDraft } from "./access-draft.ts";
import type { OnAccess } from "./access-events.ts";
import { placeOf } from "./access-place.ts";
import type { OnRefusedRequest } from "./directory/http.ts";

const HOUR = 60 * 60_000;

/** Under this stands whoever gave a name that nobody has; no registered name has brackets. */
const NOBODY = "(unknown)";

export type AccessBook = {
  ofConnection: OnAccess;
  ofRequest: OnRefusedRequest;
  /** Tells what is still counted. Resolves when it is on disk. */
  close(): Promise<void>;
};

/** What somebody did just before the erasure is told all the same, without the address. */
function unlessErased(thrown: unknown): null {
  if (thrown instanceof RastroError && thrown.code === "unknown_name") return null;
  throw thrown;
}

/**
 * Puts on record what the hub and the directory saw of access, in counts (decision 23): per name, address and what it
 * was, the first at once, then one count a minute. What signs in by itself, a machine, a service or a screen with its
 * session, is counted by the hour: an agent that comes and goes must not fill the book.
 */
export function openAccessBook(o: {
  store: Store;
  outbox: Outbox;
  /** By the name that signs in. */
  principalOf: (name: string) => Principal | undefined;
  /** The AES-256 key of a person, base64. */
  keyOf: (sub: string) => Promise<{ key: string }>;
  service: { name: string; tz: string; now: () => number };
  newId: () => string;
  random: (bytes: number) => Buffer;
  repeat?: Repeat;
  log: Logger;
}): AccessBook {
  const { now } = o.service;
  let telling: Promise<void> = Promise.resolve();
  const emit = (report: RefusalReport<AccessCode>) => {
    telling = telling.then(() =>
      tell(report).catch((error: unknown) => o.log.error({ err: error }, "an access could not be put on record")),
    );
  };
  const counting = { emit, now, ...(o.repeat === undefined ? {} : { repeat: o.repeat }) };
  const byMinute = createRefusals<AccessCode>(counting);
  const byHour = createRefusals<AccessCode>({ ...counting, periodMs: HOUR });

  async function tell(report: RefusalReport<AccessCode>): Promise<void> {
    const principal = o.principalOf(report.principal);
    const id = o.newId();
    const address = await sealedAddress(principal, report.address, id);
    const draft = accessDraft({ report, principal, address, service: o.service, id, now: now() });
    await o.store.write((tx) => void o.outbox.stage(tx, draft));
  }

  /** Decision 13: an address says where a person is. That of a machine or of nobody in particular is in the log alone. */
  async function sealedAddress(principal: Principal | undefined, address: string | null, id: string) {
    if (principal?.kind !== "person" || !address) return null;
    const person = await o.keyOf(principal.sub).catch(unlessErased);
    if (person === null) return null;
    const sealed: Sealed = seal(Buffer.from(person.key, "base64"), principal.sub, address, `${id}/address`, o.random);
    return sealed;
  }

  const nameOf = (user: string | null) => (user !== null && o.principalOf(user) !== undefined ? user : NOBODY);

  return {
    ofConnection({ kind, user, address, code, subject, by, why }) {
      const counted = kind === "admitted" && by !== "password" ? byHour : byMinute;
      const isTopic = kind === "publish-refused" || kind === "subscribe-refused";
      counted.note({
        principal: nameOf(user),
        address,
        code: `${kind} ${code ?? why ?? by ?? "session"}`,
        detail: isTopic && subject !== null ? placeOf(subject, o.principalOf) : kind,
      });
    },
    ofRequest({ user, address, code, path }) {
      // What follows the first two parts of a path may be a login.
      const detail = path.split("/").slice(1, 3).join("/");
      byMinute.note({ principal: nameOf(user), address, code: `request-refused ${code}`, detail });
    },
    async close() {
      byMinute.close();
      byHour.close();
      await telling;
    },
  };
}
