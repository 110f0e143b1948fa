import type { Logger } from "pino";
import { type Presence, Presence as PresenceSchema } from "../contracts/machine.ts";
import { parseJson } from "../contracts/parse.ts";
import { topics } from "../contracts/topics.ts";
import type { Repeats } from "./repeats.ts";
import { type After, within } from "./timing.ts";

/** As much of the link as presence needs. */
export interface PresencePort {
  readonly connected: boolean;
  publish(topic: string, payload: string, options: { qos: 1; retain: true }): Promise<void>;
  subscribe(filter: string, handler: (topic: string, payload: Buffer) => void): Promise<void>;
  /** At each connection, at once when there is one already. */
  onUp(run: () => void): void;
}

export type About = { machine: string; boot: string; app: string; key: string | null };

export type Will = { topic: string; payload: string; qos: 1; retain: true };

export type PresenceOptions = { about: About; now: () => number; repeats: Repeats; after: After; log: Logger };

export interface PresenceKeeper {
  /** For the link: the will of a connection that is about to be made. `connection` is random and names it. */
  will(connection: string): Will;
  /** Publishes the birth at each connection from now on, and puts right what is said about this machine. */
  follow(link: PresencePort): Promise<void>;
  /** The last word before a clean end. Nothing is published after it. */
  farewell(): Promise<void>;
}

/**
 * Says that the machine is there: a birth at each connection, a will that the broker publishes if the connection
 * breaks, a farewell at a clean end. All retained, QoS 1.
 *
 * A broken connection may be noticed by the broker after the agent is back, and its will then says "offline" about a
 * machine that is online. So the agent reads its own presence and repeats its word when it sees another one. Two
 * agents of the same id would answer each other for ever: repeats are spaced further and further apart.
 */
export function createPresence({ about, now, repeats, after, log }: PresenceOptions): PresenceKeeper {
  const topic = topics.presence(about.machine);
  let connection = "none";
  let link: PresencePort | null = null;
  let gone = false;

  const say = (why: Presence["why"], online: boolean): string => {
    const since = new Date(now()).toISOString();
    const { boot, app, key } = about;
    return JSON.stringify({ v: 1, online, since, why, connection, boot, app, key } satisfies Presence);
  };
  const publish = async (payload: string) => {
    await link?.publish(topic, payload, { qos: 1, retain: true });
  };
  const birth = () => {
    if (gone || !link?.connected) return;
    // Cut while publishing: the next connection publishes its own birth.
    publish(say("birth", true)).catch((error: unknown) => log.debug({ err: error }, "the birth was not published"));
  };
  const read = (payload: Buffer) => {
    if (gone) return;
    const seen = presenceIn(payload);
    if (seen?.online === true && seen.connection === connection) {
      repeats.settle();
      return;
    }
    if (seen?.online === true && seen.boot !== about.boot) {
      log.warn({ boot: seen.boot }, "another agent says that it is this machine; one of the two has the wrong id");
    }
    repeats.request(birth);
  };

  return {
    will: (name) => {
      connection = name;
      return { topic, payload: say("will", false), qos: 1, retain: true };
    },
    follow: async (port) => {
      link = port;
      port.onUp(birth);
      await port.subscribe(topic, (_topic, payload) => read(payload));
    },
    farewell: async () => {
      gone = true;
      repeats.settle();
      if (!link?.connected) return;
      const said = publish(say("shutdown", false)).catch((error: unknown) => {
        log.warn({ err: error }, "the farewell was not published; the will says that the machine is gone");
      });
      await within(FAREWELL_MS, said, after);
    },
  };
}

/** A broker that does not answer must not hold up the end. */
const FAREWELL_MS = 1000;

/** Null for what is no presence at all, an empty payload among it: it has to be put right as well. */
function presenceIn(payload: Buffer): Presence | null {
  try {
    return parseJson(PresenceSchema, payload, "the machine's own presence");
  } catch {
    return null;
  }
}
