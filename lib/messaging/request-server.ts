import { createHash } from "node:crypto";
import type { Logger } from "pino";
import type { PersonProfile, Principal, Profile, ServiceName } from "../contracts/directory.ts";
import { type ProgressEnvelope, RequestEnvelope, type ResponseEnvelope } from "../contracts/envelopes.ts";
import { RastroError, toProblem } from "../contracts/errors.ts";
import {
  findOperation,
  type OperationsOf,
  type RequestOf,
  type ServiceWithOperations,
} from "../contracts/operations.ts";
import { parseJson, parseValue } from "../contracts/parse.ts";
import { filters, type ParsedRequest, parseRequest, topics } from "../contracts/topics.ts";
import { type Answer, createAnswers } from "./answers.ts";
import type { Link } from "./link.ts";
import type { Principals } from "./principals.ts";
import { firstBytes, type Refused, refusedOf } from "./refused.ts";

/** Who asks, as the broker and the directory vouch for it. `auth` is `local` for the holder of the hub's local key. */
export type Caller = { name: string; sub: string; profile: Profile; session: string; auth: "session" | "local" };

/** Tells the caller how far a request has come. May be called at any rate: what comes too soon after the last is left out. */
export type ReportProgress = (done: number, of: number) => void;

/** One function for each operation of the service, which may return a promise; what it throws as RastroError is the answer. */
export type Handlers<S extends ServiceWithOperations> = {
  [O in OperationsOf<S>]: (body: RequestOf<S, O>, caller: Caller, report: ReportProgress) => unknown;
};

/** Counters since the start; `kept` answers are held for duplicates. */
export type ServerState = {
  answered: number;
  refused: number;
  duplicates: number;
  unparsed: number;
  running: number;
  kept: number;
};

const MINUTE = 60_000;

/** A request that wants to be valid for longer is refused: its answer would have to be kept for as long. */
const MAXIMUM_AHEAD = 10 * MINUTE;

/** Requests that may run at once; more are told `busy`. */
const MAXIMUM_RUNNING = 1000;

/** Between two reports of how far a request has come, ms. */
const REPORT_EVERY_MS = 250;

/** Answers kept for duplicates. */
const KEPT = { maximumCount: 10_000, maximumBytes: 32 * 1024 * 1024 };

/** Brokers take packets of 256 KiB; an answer has to fit into one. */
const MAXIMUM_ANSWER_BYTES = 250_000;

/**
 * Serves the operations of a service. Per request: topic, envelope, notAfter, principal, profile (by OPERATIONS), body
 * (by its schema), handler; whatever fails is answered as a Problem and nothing that fails before the handler has had
 * any effect. A duplicate (same user, session, request id and bytes) gets the first one's answer until a minute after
 * its notAfter, the same promise while that still runs; one to a repeatable operation is worked out again once its first
 * answer was sent. An answer whose connection went is sent with the next one.
 *
 * @param o.onRefused - what was refused before it reached a handler; the sender was authenticated by the broker.
 * @throws RastroError `not_allowed` when the broker does not let this service have its requests.
 */
export async function serve<S extends ServiceWithOperations>(o: {
  link: Link;
  service: S;
  principals: Pick<Principals, "byName">;
  handlers: Handlers<S>;
  onRefused: (refused: Refused) => void;
  now: () => number;
  log: Logger;
}): Promise<{ state(): ServerState }> {
  const answers = createAnswers({ now: o.now, ...KEPT });
  const counts = { answered: 0, refused: 0, duplicates: 0, unparsed: 0, running: 0 };

  async function take(topic: string, payload: Buffer): Promise<void> {
    const request = parseRequest(topic);
    if (request === null || request.service !== o.service) {
      counts.unparsed += 1;
      o.log.warn({ topic, payload: firstBytes(payload) }, "a request on a topic that is none");
      return;
    }
    const digest = createHash("sha256").update(topic).update("\n").update(payload).digest("hex");
    const key = `${request.user}/${request.session}/${request.request}`;
    const known = answers.find(key);
    if (known?.digest === digest) {
      counts.duplicates += 1;
      await send(known);
      return;
    }
    await begin({ request, topic, payload, key, digest, taken: known !== undefined });
  }

  async function begin(asked: {
    request: ParsedRequest;
    topic: string;
    payload: Buffer;
    key: string;
    digest: string;
    taken: boolean;
  }) {
    const { request } = asked;
    const prepared = prepare(asked);
    const answer: Answer = {
      digest: asked.digest,
      keepUntil: prepared.notAfter + MINUTE,
      response: prepared.run(),
      topic: topics.response(request.user, request.session, request.request),
      sent: false,
      bytes: 0,
    };
    if (!asked.taken) answers.add(asked.key, answer);
    answers.weigh(asked.key, answer, Buffer.byteLength(await answer.response));
    await send(answer);
    if (prepared.isRepeatable && answer.sent) answers.remove(asked.key, answer);
  }

  /** Everything that can be refused is refused here, before there is any effect. */
  function prepare(asked: { request: ParsedRequest; topic: string; payload: Buffer; taken: boolean }): {
    notAfter: number;
    isRepeatable: boolean;
    run: () => Promise<string>;
  } {
    const { request, topic, payload } = asked;
    try {
      if (asked.taken) throw idTaken(request);
      const envelope = parseJson(RequestEnvelope, payload, `the request ${request.operation} of ${request.user}`);
      const notAfter = checkTime(envelope.notAfter, o.now());
      const caller = callerOf(request, o.principals.byName(request.user));
      const operation = findOperation(o.service, request.operation);
      if (operation === null) throw unknownOperation(request);
      if (!mayAsk(operation, caller)) throw notAllowed(request, caller);
      const body = parseValue(operation.request, envelope.body ?? {}, `the body of ${request.operation}`);
      if (counts.running >= MAXIMUM_RUNNING) throw busy(request);
      return { notAfter, isRepeatable: operation.repeatable === true, run: () => run(request, body, caller) };
    } catch (thrown) {
      const error = thrown instanceof RastroError ? thrown : new RastroError(toProblem(thrown), { cause: thrown });
      counts.refused += 1;
      o.log.warn({ topic, code: error.code, payload: firstBytes(payload) }, error.message);
      o.onRefused(refusedOf(topic, request.user, error));
      return { notAfter: o.now(), isRepeatable: false, run: () => Promise.resolve(problemText(error)) };
    }
  }

  /** Sent at QoS 0: the next one says more, and the last word is what counts. */
  function reporter(request: ParsedRequest): { report: ReportProgress; end: () => void } {
    const topic = topics.response(request.user, request.session, request.request);
    let next = o.now() + REPORT_EVERY_MS;
    return {
      report(done, of) {
        const now = o.now();
        if (now < next) return;
        next = now + REPORT_EVERY_MS;
        const text = JSON.stringify({ v: 1, status: "progress", done, of } satisfies ProgressEnvelope);
        o.link.publish(topic, text, { qos: 0 }).catch(() => undefined);
      },
      end: () => (next = Number.POSITIVE_INFINITY),
    };
  }

  async function run(request: ParsedRequest, body: unknown, caller: Caller): Promise<string> {
    counts.running += 1;
    const { report, end } = reporter(request);
    try {
      const handler = (
        o.handlers as unknown as Record<string, (body: unknown, caller: Caller, report: ReportProgress) => unknown>
      )[request.operation];
      if (!handler) throw unknownOperation(request);
      const data = await handler(body, caller, report);
      return withinSize(JSON.stringify({ v: 1, status: "ok", data: data ?? null } satisfies ResponseEnvelope), request);
    } catch (thrown) {
      if (!(thrown instanceof RastroError))
        o.log.error({ err: thrown, operation: request.operation }, "a request failed");
      return problemText(thrown);
    } finally {
      end();
      counts.running -= 1;
      counts.answered += 1;
    }
  }

  async function send(answer: Answer): Promise<void> {
    const text = await answer.response;
    try {
      await o.link.publish(answer.topic, text, { qos: 1 });
      answer.sent = true;
    } catch (error) {
      o.log.info({ topic: answer.topic, code: toProblem(error).code }, "an answer could not be sent yet");
    }
  }

  o.link.onUp(() => {
    for (const answer of answers.unsent()) void send(answer);
  });
  await o.link.subscribe(filters.requestsTo(o.service), take);
  return { state: () => ({ ...counts, kept: answers.size }) };
}

function checkTime(notAfter: string, now: number): number {
  const time = Date.parse(notAfter);
  if (time < now) {
    throw new RastroError({
      code: "expired",
      message: `Answering the request failed: it was to be begun by ${notAfter} and it is ${new Date(now).toISOString()}; ask again, or compare the clocks.`,
      field: "notAfter",
      given: notAfter,
    });
  }
  if (time > now + MAXIMUM_AHEAD) {
    throw new RastroError({
      code: "schema",
      message: `Reading the request failed: notAfter is ${notAfter}; expected: at most 10 minutes ahead.`,
      field: "notAfter",
      given: notAfter,
      expected: "at most 10 minutes ahead",
    });
  }
  return time;
}

function callerOf(request: ParsedRequest, principal: Principal | undefined): Caller {
  if (!principal?.active) {
    throw new RastroError({
      code: "unknown_name",
      message: `Answering ${request.operation} failed: no active person is registered as ${request.user}.`,
      given: request.user,
    });
  }
  const auth = principal.credential === "local" ? "local" : "session";
  return { name: principal.name, sub: principal.sub, profile: principal.profile, session: request.session, auth };
}

function mayAsk(
  operation: { profiles: readonly PersonProfile[]; services?: readonly ServiceName[] },
  caller: Caller,
): boolean {
  if (caller.profile === "service") return operation.services?.includes(caller.name as ServiceName) === true;
  return operation.profiles.includes(caller.profile as PersonProfile);
}

function unknownOperation(request: ParsedRequest): RastroError {
  return new RastroError({
    code: "unknown_operation",
    message: `Answering ${request.user} failed: ${request.service} offers no operation ${request.operation}.`,
    given: request.operation,
  });
}

function notAllowed(request: ParsedRequest, caller: Caller): RastroError {
  return new RastroError({
    code: "not_allowed",
    message: `${request.operation} was refused: ${caller.name} has the profile ${caller.profile}, which does not allow it.`,
    given: caller.profile,
  });
}

function idTaken(request: ParsedRequest): RastroError {
  return new RastroError({
    code: "id_conflict",
    message: `Answering ${request.operation} failed: request ${request.request} of this session had other bytes before; use a new id.`,
    given: request.request,
  });
}

function busy(request: ParsedRequest): RastroError {
  return new RastroError({
    code: "busy",
    message: `Answering ${request.operation} failed: too many requests run at once; ask again later.`,
  });
}

function withinSize(text: string, request: ParsedRequest): string {
  const bytes = Buffer.byteLength(text);
  if (bytes <= MAXIMUM_ANSWER_BYTES) return text;
  throw new RastroError({
    code: "schema",
    message: `Answering ${request.operation} failed: the answer has ${bytes} bytes and at most ${MAXIMUM_ANSWER_BYTES} fit; ask for fewer rows.`,
    field: "limit",
    expected: "a smaller page",
  });
}

function problemText(thrown: unknown): string {
  return JSON.stringify({ v: 1, status: "error", error: toProblem(thrown) } satisfies ResponseEnvelope);
}
