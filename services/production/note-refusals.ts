import { type ErrorCode, RastroError } from "../../lib/contracts/errors.ts";
import type { ServiceWithOperations } from "../../lib/contracts/operations.ts";
import { topics } from "../../lib/contracts/topics.ts";
import type { Caller, Handlers, ReportProgress } from "../../lib/messaging/request-server.ts";

/** What says something of the service or of the moment, and nothing of what was asked. */
const NOT_THE_ASKER: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "not_reachable",
  "timeout",
  "busy",
  "internal",
  "store_unusable",
  "book_damaged",
]);

export type OnRefusedRequest = (refused: { topic: string; from: string; code: ErrorCode; message: string }) => void;

/** The same handlers, whose refusals are noted as those are that the request server makes itself. */
export function noteRefusals<S extends ServiceWithOperations>(
  service: S,
  handlers: Handlers<S>,
  onRefused: OnRefusedRequest,
): Handlers<S> {
  type Handler = (body: unknown, caller: Caller, report: ReportProgress) => unknown;
  const noting =
    (operation: string, handler: Handler): Handler =>
    async (body, caller, report) => {
      try {
        return await handler(body, caller, report);
      } catch (thrown) {
        if (thrown instanceof RastroError && !NOT_THE_ASKER.has(thrown.code)) {
          const topic = topics.request(caller.name, caller.session, service, operation, "handled");
          onRefused({ topic, from: caller.name, code: thrown.code, message: thrown.message });
        }
        throw thrown;
      }
    };
  const noted = Object.entries(handlers).map(([operation, handler]) => [
    operation,
    noting(operation, handler as Handler),
  ]);
  return Object.fromEntries(noted) as Handlers<S>;
}
