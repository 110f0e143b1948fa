import { randomBytes } from "node:crypto";
import type { Session } from "../../lib/contracts/directory.ts";
import { type Link, openLink } from "../../lib/messaging/link.ts";
import { createRequester, type Requester } from "../../lib/messaging/request-client.ts";
import { createLog } from "../../lib/runtime/log.ts";

/** Services asked over MQTT in the name of a session. */
export type Connection = Requester & {
  /**
   * The messages that the broker retains under a filter. MQTT marks no end of them: it waits until none has followed for
   * a moment.
   */
  retained(filter: string): Promise<Map<string, string>>;
  close(): Promise<void>;
};

/** Long enough for a broker that is being restarted, short enough for somebody who waits. */
const CONNECT_TIMEOUT_MS = 3000;

/** @throws RastroError `bad_credentials` when the broker refuses the session, `not_reachable` when none answers. */
export async function connect(o: { url: string; ca: string | undefined; session: Session }): Promise<Connection> {
  const { user, session, token } = o.session;
  const log = createLog("rastro", { logLevel: "silent" });
  const link = openLink({ url: o.url, name: user, ca: o.ca, password: () => token, log, random: randomBytes });
  try {
    await link.whenConnected({ timeoutMs: CONNECT_TIMEOUT_MS });
  } catch (error) {
    await link.close();
    throw error;
  }
  const newId = () => randomBytes(8).toString("hex");
  const requester = createRequester({ link, user, session, newId, now: Date.now });
  return { call: requester.call, retained: (filter) => readRetained(link, filter), close: () => link.close() };
}

/** So long nothing follows: what is retained is in. */
const QUIET_MS = 250;

async function readRetained(link: Link, filter: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const { promise, resolve } = Promise.withResolvers<void>();
  let quiet = setTimeout(resolve, CONNECT_TIMEOUT_MS);
  const waitAnew = () => {
    clearTimeout(quiet);
    quiet = setTimeout(resolve, QUIET_MS);
  };
  await link.subscribe(filter, (topic, payload) => {
    found.set(topic, payload.toString("utf8"));
    waitAnew();
  });
  waitAnew();
  await promise;
  return found;
}
