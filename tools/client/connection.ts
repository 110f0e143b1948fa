import { randomBytes } from "node:crypto";
import type { Session } from "../../lib/contracts/directory.ts";
import { openLink } from "../../lib/messaging/link.ts";
import { createRequester, type Requester } from "../../lib/messaging/request-client.ts";
import { createLog } from "../../lib/runtime/log.ts";

/** Services asked over MQTT in the name of a session. */
export type Connection = Requester & { close(): Promise<void> };

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
  return { call: requester.call, close: () => link.close() };
}
