import { RastroError } from "../../../lib/contracts/errors.ts";
import type { BookName } from "../../../lib/contracts/names.ts";
import { filters, parseWitness, topics } from "../../../lib/contracts/topics.ts";
import { parseWitnessAnswer, readWitnessAnswer, type WitnessAnswer } from "../../../lib/contracts/witness.ts";
import type { Link } from "../../../lib/messaging/link.ts";
import type { After } from "../../../lib/messaging/timing.ts";
import { originHash } from "../../../lib/witness/log-notes.ts";
import type { Carry } from "./exchange.ts";

/** More than any answer needs: a checkpoint with the signatures of a few keys. */
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
  const waiting = new Map<string, (answer: WitnessAnswer | null) => void>();
  await o.link.subscribe(filters.everyWitnessResponse, (topic, payload) => {
    if (parseWitness(topic)?.kind === "response") waiting.get(topic)?.(answerIn(payload));
  });

  async function exchange(machine: string, book: BookName, request: string): Promise<WitnessAnswer | null> {
    const id = o.newId();
    const topic = topics.witnessResponse(machine, book, id);
    let cancel = () => {};
    try {
      return await new Promise<WitnessAnswer | null>((resolve, reject) => {
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
    overHttp: (url) => {
      const witness = { base: url.replace(/\/+$/, ""), timeoutMs: o.timeoutMs };
      return (request, origin) => post(witness, request, origin);
    },
  };
}

function answerIn(payload: Buffer): WitnessAnswer | null {
  return payload.length > ANSWER_MAXIMUM ? null : parseWitnessAnswer(payload.toString("utf8"));
}

/** A witness that is asked over HTTP: `base` is its "submission prefix" (C2SP tlog-witness). */
type HttpWitness = { base: string; timeoutMs: number };

async function post(witness: HttpWitness, request: string, origin: string): Promise<WitnessAnswer | null> {
  const headers = { "content-type": "text/plain; charset=utf-8" };
  const { status, text } = await reach(witness, "add-checkpoint", { method: "POST", headers, body: request });
  const answer = readWitnessAnswer(status, text);
  if (answer === null && status >= 500) throw unreachable(witness, `it answers ${status}`);
  return answer?.status === 409 && answer.size > 0 ? { ...answer, note: await shownBy(witness, origin) } : answer;
}

/** What it cosigned last (tlog-witness, "Monitor Retrieval Mechanism"); null where it does not show that. */
async function shownBy(witness: HttpWitness, origin: string): Promise<string | null> {
  const { status, text } = await reach(witness, `${originHash(origin)}/checkpoint`, { method: "GET" });
  // Too much at once, or its disk: that it does not show it now says nothing.
  if (status === 429 || status >= 500) throw unreachable(witness, `it answers ${status}`);
  return status === 200 ? text : null;
}

async function reach(
  witness: HttpWitness,
  path: string,
  asked: RequestInit,
): Promise<{ status: number; text: string }> {
  try {
    const answer = await fetch(`${witness.base}/${path}`, {
      ...asked,
      // Whoever is named as a witness answers itself: a redirection could lead into the plant.
      redirect: "error",
      signal: AbortSignal.timeout(witness.timeoutMs),
    });
    return { status: answer.status, text: await boundedText(answer) };
  } catch (cause) {
    throw unreachable(witness, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function unreachable({ base }: HttpWitness, why: string, cause?: unknown): RastroError {
  const message = `Asking the witness at ${base} failed: ${why}.`;
  return new RastroError({ code: "not_reachable", message, given: base }, { cause });
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
