import type { ZodType } from "zod";
import { RastroError } from "../contracts/errors.ts";
import { AnswerEnvelope } from "../contracts/envelopes.ts";
import {
  OPERATIONS,
  type OperationsOf,
  type RequestInput,
  type ResponseOf,
  type ServiceWithOperations,
} from "../contracts/operations.ts";
import { parseJson, parseValue } from "../contracts/parse.ts";
import { filters, topics } from "../contracts/topics.ts";
import type { Link } from "./link.ts";
import { type After, after as systemAfter } from "./timing.ts";

export type CallOptions = { timeoutMs?: number; onProgress?: (done: number, of: number) => void };

export type Requester = {
  /**
   * Asks a service and waits for its answer. A request whose connection goes is sent again, with the same id, as soon
   * as there is one, and again after 2 to 4 and 6 to 8 seconds without an answer, since a broker drops what is for a
   * service that is not connected at that moment: services answer the second as they answered the first.
   *
   * @param options.timeoutMs - 10 seconds when left out; the service does not begin it after that either. Begins anew
   *   with each report of how far the service has come.
   * @param options.onProgress - told how far a request that takes long has come.
   * @throws RastroError what the service answered; `timeout` when it did not; `not_reachable` when there was no
   *   connection at the end of the time; `bad_credentials` as soon as the broker refuses the session.
   */
  call<S extends ServiceWithOperations, O extends OperationsOf<S>>(
    service: S,
    operation: O,
    body: RequestInput<S, O>,
    options?: CallOptions,
  ): Promise<ResponseOf<S, O>>;
};

/** How often it is looked which questions have waited for long. */
const LOOK_MS = 2000;

type Waiting = {
  /** How often it was found without an answer. */
  looks: number;
  topic: string;
  payload: string;
  /** The service works on it. */
  progress: (done: number, of: number) => void;
  resolve: (data: unknown) => void;
  reject: (error: RastroError) => void;
};

/**
 * Asks services in the name of a session.
 *
 * @param o.newId - ids of requests, each a topic segment and never used twice in the session.
 * @param o.now - ms since 1970, by the hub's clock as this side knows it: services compare it with theirs.
 */
export function createRequester(o: {
  link: Link;
  user: string;
  session: string;
  newId: () => string;
  now: () => number;
  after?: After;
}): Requester {
  const waiting = new Map<string, Waiting>();
  const after = o.after ?? systemAfter;
  let subscribed: Promise<void> | null = null;
  let cancelLook: (() => void) | null = null;

  /** A subscription that was refused is asked for again by the next call. */
  function subscribe(): Promise<void> {
    subscribed ??= o.link.subscribe(filters.responsesTo(o.user, o.session), answer).catch((error: unknown) => {
      subscribed = null;
      throw error;
    });
    return subscribed;
  }

  function answer(topic: string, payload: Buffer): void {
    const id = topic.split("/")[3] ?? "";
    const asked = waiting.get(id);
    if (!asked) return;
    try {
      const response = parseJson(AnswerEnvelope, payload, "the answer of a service");
      if (response.status === "progress") asked.progress(response.done, response.of);
      else if (response.status === "ok") asked.resolve(response.data);
      else asked.reject(new RastroError(response.error));
    } catch (error) {
      asked.reject(error as RastroError);
    }
  }

  /** A refused publish says nothing about the request: it goes out again with the next connection, or time runs out. */
  function send(asked: Waiting): void {
    o.link.publish(asked.topic, asked.payload, { qos: 1 }).catch((error: unknown) => {
      if (error instanceof RastroError && error.code === "busy") asked.reject(error);
    });
  }

  /** The broker may have had nobody to give it to. Ever more rarely, so that a service which is slow is not made slower. */
  function look(): void {
    cancelLook = null;
    for (const asked of waiting.values()) {
      asked.looks += 1;
      if (asked.looks > 1 && Number.isInteger(Math.log2(asked.looks)) && o.link.connected) send(asked);
    }
    lookLater();
  }

  function lookLater(): void {
    if (waiting.size > 0) cancelLook ??= after(LOOK_MS, look);
    else {
      cancelLook?.();
      cancelLook = null;
    }
  }

  async function exchange(service: string, operation: string, body: unknown, options: CallOptions): Promise<unknown> {
    const timeoutMs = options.timeoutMs ?? 10_000;
    const id = o.newId();
    const topic = topics.request(o.user, o.session, service, operation, id);
    const payload = JSON.stringify({ v: 1, notAfter: new Date(o.now() + timeoutMs).toISOString(), body });
    let cancel = () => {};
    try {
      return await new Promise<unknown>((resolve, reject) => {
        const waitAnew = () => {
          cancel();
          cancel = after(timeoutMs, () => reject(outOfTime(o.link, service, operation, timeoutMs)));
        };
        const progress = (done: number, of: number) => {
          asked.looks = 0;
          waitAnew();
          options.onProgress?.(done, of);
        };
        const asked: Waiting = { looks: 0, topic, payload, progress, resolve, reject };
        waiting.set(id, asked);
        lookLater();
        waitAnew();
        subscribe().then(() => waiting.has(id) && o.link.connected && send(asked), reject);
      });
    } finally {
      cancel();
      waiting.delete(id);
      lookLater();
    }
  }

  o.link.onUp(() => {
    for (const asked of waiting.values()) send(asked);
  });
  o.link.onFatal((error) => {
    for (const asked of waiting.values()) asked.reject(error);
  });
  return {
    async call(service, operation, body, options = {}) {
      const data = await exchange(service, operation, body, options);
      return parseValue(responseSchema(service, operation), data, `the answer of ${service} to ${operation}`) as never;
    },
  };
}

function responseSchema<S extends ServiceWithOperations>(service: S, operation: OperationsOf<S>) {
  const operations: Record<string, { response: ZodType }> = OPERATIONS[service];
  const found = operations[operation];
  if (!found)
    throw new RastroError({ code: "unknown_operation", message: `${service} offers no operation ${operation}.` });
  return found.response;
}

function outOfTime(link: Link, service: string, operation: string, timeoutMs: number): RastroError {
  if (link.refusal) return link.refusal;
  const code = link.connected ? "timeout" : "not_reachable";
  const why = link.connected ? `it did not answer within ${timeoutMs} ms` : "there was no connection to the broker";
  return new RastroError({ code, message: `Asking ${service} for ${operation} failed: ${why}.` });
}
