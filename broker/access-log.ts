import type { Logger } from "../lib/runtime/log.ts";
import type { Refusals } from "../lib/runtime/refusals.ts";
import type { OnAccess } from "./access-events.ts";
import type { OnRefusedRequest } from "./directory/http.ts";

/** Under this principal stands whoever gave no usable name. */
const NOBODY = "unknown";

/**
 * Collects what the hub and the directory saw of access: admissions go to the log as they are, refusals are counted
 * together, so that a flood of them stays a line a minute.
 */
export function watchAccess(o: { refusals: Pick<Refusals, "note">; log: Logger }): {
  ofConnection: OnAccess;
  ofRequest: OnRefusedRequest;
} {
  return {
    ofConnection({ kind, user, address, code, subject, why }) {
      if (code === null) {
        o.log.info({ kind, user, address, client: subject, ...(why === undefined ? {} : { why }) }, kind);
        return;
      }
      o.refusals.note({
        principal: user ?? NOBODY,
        address,
        code,
        detail: subject === null ? kind : `${kind}: ${subject}`,
      });
    },
    ofRequest({ user, address, code, path }) {
      o.refusals.note({ principal: user ?? NOBODY, address, code, detail: `request-refused: ${path}` });
    },
  };
}
