import { RastroError } from "../../../lib/contracts/errors.ts";
import type { BookName } from "../../../lib/contracts/names.ts";
import { filters, parseWitness, topics } from "../../../lib/contracts/topics.ts";
import type { Link } from "../../../lib/messaging/link.ts";
import type { After } from "../../../lib/messaging/timing.ts";
import type { Answer, Carry } from "./exchange.ts";

/** More than any answer needs: cosignatures of a few keys. */
const ANSWER_MAXIMUM = 16 * 1024;

/** How a witness is asked. */
export type Carriers = {
  overMqtt(machine: string, book: BookName): Carry;
  overHttp(url: string): Carry;
};

/**
 * Carries requests to machines' agents over MQTT, matched with their answers by an id in both topics, and to others by
 * HTTP. A witness that answers neither costs one time-out.
 *
 * @param o.newId - a topic segment, never the same.
 * @throws RastroError `not_allowed` when the broker does not let this service have the answers.
 */
export async function openCarriers(o: {
  link: Link;
  newId: () => string;
  after: After;
  timeoutMs: number;
}): Promise<Carriers> {
  const waiting = new Map<string, (answer: Answer) => void>();
  await o.link.subscribe(filters.everyWitnessResponse, (topic, payload) => {
    const answer = parseWitness(topic)?.kind === "response" ? parseAnswer(payload) : null;
    if (answer !== null) waiting.get(topic)?.(answer);
  });

  async function exchange(machine: string, book: BookName, request: string): Promise<Answer> {
    const id = o.newId();
    const topic = topics.witnessResponse(machine, book, id);
    let cancel = () => {};
    try {
      return await new Promise<Answer>((resolve, reject) => {
        cancel = o.after(o.timeoutMs, () => reject(silent(machine, o.timeoutMs)));
        waiting.set(topic, resolve);
        o.link.publish(topics.witnessAdd(machine, book, id), request, { qos: 1 }).catch(reject);
      });
    } finally {
      cancel();
      waiting.delete(topic);
    }
  }

  return {
    overMqtt: (machine, book) => (request) => exchange(machine, book, request),
    overHttp: (url) => (request) => post(url, request, o.timeoutMs),
  };
}

/** The status stands in the first line. */
function parseAnswer(payload: Buffer): Answer | null {
  if (payload.length > ANSWER_MAXIMUM) return null;
  const [, status, body = ""] = /^(\d{3})\n([^]*)$/.exec(payload.toString("utf8")) ?? [];
  return status === undefined ? null : { status: Number(status), body };
}

async function post(url: string, request: string, timeoutMs: number): Promise<Answer> {
  try {
    const answer = await fetch(`${url.replace(/\/+$/, "")}/add-checkpoint`, {
      method: "POST",
      headers: { "content-type": "text/plain; charset=utf-8" },
      body: request,
      // Whoever is named as a witness answers itself: a redirection could lead into the plant.
      redirect: "error",
      signal: AbortSignal.timeout(timeoutMs),
    });
    return { status: answer.status, body: await boundedText(answer) };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new RastroError(
      { code: "not_reachable", message: `Asking the witness at ${url} failed: ${why}.`, given: url },
      { cause },
    );
  }
}

async function boundedText(answer: Response): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of answer.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length > ANSWER_MAXIMUM) throw new Error(`its answer is longer than ${ANSWER_MAXIMUM} bytes`);
  }
  return text;
}

function silent(machine: string, timeoutMs: number): RastroError {
  return new RastroError({
    code: "timeout",
    message: `Asking the witness ${machine} failed: it did not answer within ${timeoutMs} ms.`,
    given: machine,
  });
}
