import { LogRotations } from "../contracts/book.ts";
import { BookName } from "../contracts/names.ts";
import { parseJson } from "../contracts/parse.ts";
import { filters, parseWitness, topics } from "../contracts/topics.ts";
import { formatWitnessAnswer, type WitnessAlarm } from "../contracts/witness.ts";
import type { Link } from "../messaging/link.ts";
import type { Logger } from "../runtime/log.ts";
import { requestText } from "./request-text.ts";
import { type FollowedLogs, originsOf } from "./trusted-logs.ts";
import type { Witness } from "./witness.ts";

export type OverMqttOptions = {
  link: Pick<Link, "subscribe" | "publish" | "onUp" | "connected">;
  /** The name under which the link signs in. */
  machine: string;
  witness: Witness;
  logs: FollowedLogs;
  /** The alarms that are raised. */
  alarms: () => WitnessAlarm[];
  log: Logger;
};

/** Says on its topic what became of the alarm of one log; null clears it there. */
export type TellAlarm = (origin: string, alarm: WitnessAlarm | null) => void;

/**
 * Lets the books of a plant be witnessed over MQTT: answers requests, looks at every checkpoint that is published, and
 * says at each connection what alarms there are. The subscriptions are registered before it returns.
 */
export function serveOverMqtt(o: OverMqttOptions): { tellAlarm: TellAlarm } {
  const { link, machine, log } = o;
  const tellAlarm: TellAlarm = (origin, alarm) => {
    const book = bookOf(origin);
    if (book === null || !link.connected) return;
    const text = alarm === null ? "" : JSON.stringify(alarm);
    link
      .publish(topics.witnessAlarm(machine, book), text, { qos: 1, retain: true })
      .catch((err: unknown) => log.debug({ err }, "an alarm could not be told; it is told again once connected"));
  };
  const tellAll = () => {
    const raised = new Map(o.alarms().map((alarm) => [alarm.origin, alarm]));
    const origins = new Set([...originsOf(o.logs), ...raised.keys()]);
    // Also what is not raised: a message from before it was cleared may lie there.
    for (const origin of origins) tellAlarm(origin, raised.get(origin) ?? null);
  };

  const answer = async (topic: string, payload: Buffer, retained: boolean) => {
    const asked = parseWitness(topic);
    if (asked === null || asked.request === null || asked.kind !== "add" || retained) return;
    const said = await o.witness.addCheckpoint(requestText(payload) ?? "");
    log.debug({ book: asked.book, status: said.status }, "a checkpoint was judged");
    const to = topics.witnessResponse(machine, asked.book, asked.request);
    // The log asks again with its next checkpoint, so that an answer that is cut off is not missed.
    await link.publish(to, formatWitnessAnswer(said), { qos: 1 });
  };
  const look = (_topic: string, payload: Buffer, retained: boolean) =>
    o.witness.look(requestText(payload) ?? "", !retained);
  const follow = (_topic: string, payload: Buffer) => {
    o.logs.follow(parseJson(LogRotations, payload, "the rotations of a log's key").rotations);
  };

  const refused = (err: unknown) => log.error({ err }, "the broker does not let this machine witness its books");
  link.subscribe(filters.witnessRequestsTo(machine), answer).catch(refused);
  link.subscribe(filters.everyRotations, follow).catch(refused);
  link.subscribe(filters.everyCheckpoint, look).catch(refused);
  link.onUp(tellAll);
  return { tellAlarm };
}

/** A book's log is named `<plant>/<book>`; other logs have no topic here. */
function bookOf(origin: string): BookName | null {
  const parsed = BookName.safeParse(origin.slice(origin.lastIndexOf("/") + 1));
  return parsed.success ? parsed.data : null;
}
