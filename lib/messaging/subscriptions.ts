import type { Logger } from "pino";
import { RastroError } from "../contracts/errors.ts";
import { topicMatches } from "../contracts/topics.ts";
import type { Connection } from "./connection.ts";
import { firstBytes } from "./refused.ts";

/** Called for each message under one of the filters. Overlapping filters may bring a message twice. */
export type MessageHandler = (topic: string, payload: Buffer, retain: boolean) => void | Promise<void>;

/** What a link subscribes to, at every connection anew. */
export interface Subscriptions {
  /**
   * Resolves when the broker granted every filter, at this connection or, where it is null or goes first, at a later one.
   *
   * @throws RastroError `not_allowed` when the broker refuses a filter; what {@link Subscriptions.end} was given.
   */
  add(
    filters: readonly string[],
    handler: MessageHandler,
    connection: Pick<Connection, "subscribe"> | null,
  ): Promise<void>;
  /**
   * Asks for all of them at a new connection.
   *
   * @throws RastroError when the connection goes before every answer has come.
   */
  restore(connection: Pick<Connection, "subscribe">): Promise<void>;
  /** Hands a message to those whose filters match. A handler that fails is logged. */
  dispatch(topic: string, payload: Buffer, retain: boolean): void;
  /** Rejects what still waits to be granted. */
  end(error: RastroError): void;
}

type Subscription = {
  filters: readonly string[];
  handler: MessageHandler;
  granted: boolean;
  resolve: () => void;
  reject: (error: RastroError) => void;
};

/** @param o.name - that of the link, for messages. */
export function createSubscriptions(o: { name: string; log: Logger }): Subscriptions {
  const subscriptions = new Set<Subscription>();

  async function ask(subscription: Subscription, connection: Pick<Connection, "subscribe">): Promise<void> {
    const refused = await connection.subscribe(subscription.filters);
    if (refused.length === 0) {
      subscription.granted = true;
      subscription.resolve();
      return;
    }
    const error = notGranted(o.name, refused);
    o.log.error({ filters: refused }, error.message);
    // One that stood before is asked for again at the next connection: rights may have come back by then.
    if (!subscription.granted) subscriptions.delete(subscription);
    subscription.reject(error);
  }

  async function handle(handler: MessageHandler, topic: string, payload: Buffer, retain: boolean): Promise<void> {
    try {
      await handler(topic, payload, retain);
    } catch (error) {
      o.log.error({ err: error, topic, payload: firstBytes(payload) }, "handling a message failed");
    }
  }

  return {
    add(filters, handler, connection) {
      return new Promise((resolve, reject) => {
        const subscription = { filters, handler, granted: false, resolve, reject };
        subscriptions.add(subscription);
        // A connection that goes before it answered asks again as the next one does.
        if (connection !== null) void ask(subscription, connection).catch(() => {});
      });
    },
    async restore(connection) {
      await Promise.all([...subscriptions].map((subscription) => ask(subscription, connection)));
    },
    dispatch(topic, payload, retain) {
      for (const { filters, handler } of subscriptions) {
        if (filters.some((filter) => topicMatches(filter, topic))) void handle(handler, topic, payload, retain);
      }
    },
    end(error) {
      for (const subscription of subscriptions) subscription.reject(error);
    },
  };
}

function notGranted(name: string, filters: readonly string[]): RastroError {
  return new RastroError({
    code: "not_allowed",
    message: `Subscribing ${filters.join(", ")} as ${name} failed: the broker does not allow it to this name.`,
    given: filters.join(", "),
  });
}
