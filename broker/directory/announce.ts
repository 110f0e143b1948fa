import type { Logger } from "pino";
import type { Principal, SignedPrincipal } from "../../lib/contracts/directory.ts";
import { topics } from "../../lib/contracts/topics.ts";
import { canonicalText } from "../../lib/ledger/canonical.ts";
import type { Link } from "../../lib/messaging/link.ts";
import type { z } from "zod";
import type { Directory } from "./directory.ts";

/** How long an erasure waits for the link, ms. */
const LINK_TIMEOUT_MS = 10_000;

/** A principal as services get it, signed by the directory's own key: whoever can publish the topic cannot forge one. */
export function signPrincipal(
  principal: Principal,
  sign: (bytes: Uint8Array) => string,
): z.infer<typeof SignedPrincipal> {
  const body = canonicalText(principal);
  return { body, sig: sign(Buffer.from(body, "utf8")) };
}

/**
 * Keeps `directory/principals/<name>` (retained, QoS 1) as the register has it: all of them whenever the link comes up,
 * since a hub that restarted has lost what was retained, and each one when it changes.
 */
export function announcePrincipals(o: {
  directory: Pick<Directory, "register" | "onErased">;
  link: Pick<Link, "connected" | "onUp" | "publish" | "whenConnected">;
  /** Signs with the key whose public part is `<data>/keys/directory.pub`. */
  sign: (bytes: Uint8Array) => string;
  log: Logger;
}): void {
  const announce = (principal: Principal) => {
    const message = JSON.stringify(signPrincipal(principal, o.sign));
    o.link.publish(topics.principal(principal.name), message, { qos: 1, retain: true }).catch((error: unknown) => {
      // The link went down meanwhile; everything is announced again when it is up.
      o.log.debug({ err: error, name: principal.name }, "a principal was not announced");
    });
  };
  const announceAll = () => o.directory.register.principals().forEach(announce);
  o.link.onUp(announceAll);
  o.directory.register.onChange(({ principal }) => {
    if (o.link.connected) announce(principal);
  });
  // Not only when the link is up: a name that was taken away must not stay on the topic.
  o.directory.onErased(async ({ name }) => {
    await o.link.whenConnected({ timeoutMs: LINK_TIMEOUT_MS });
    await o.link.publish(topics.principal(name), "", { qos: 1, retain: true });
  });
}
