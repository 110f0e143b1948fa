import type { Duplex } from "node:stream";
import type { Logger } from "pino";
import { RastroError, toProblem } from "../contracts/errors.ts";
import { type Connection, openConnection, type PublishOptions, type Will } from "./connection.ts";
import { createSubscriptions, type MessageHandler } from "./subscriptions.ts";
import { type After, after as systemAfter, createBackoff } from "./timing.ts";

export type { PublishOptions, Will } from "./connection.ts";

/** A connection to the broker that comes back by itself. What is sent while it is away is not kept: outboxes do that. */
export interface Link {
  readonly url: string;
  /** The name that the broker vouches for. */
  readonly name: string;
  /** True from the moment when all subscriptions stand again until the connection goes. */
  readonly connected: boolean;
  /** Random id of the present connection (the one its will carries); null while there is none. */
  readonly connection: string | null;
  /** Why the last attempt to connect failed; null once connected. */
  readonly refusal: RastroError | null;
  /**
   * Resolves when connected, at once if so already. With `timeoutMs` it gives up: with `bad_credentials` as soon as
   * the broker refuses the name, with `not_reachable` after the time. Without, only `close` ends the waiting.
   */
  whenConnected(o?: { timeoutMs?: number }): Promise<void>;
  /**
   * QoS 0 (the preset) resolves when the bytes are handed to the socket, QoS 1 when the broker acknowledged them,
   * which is not a receipt.
   *
   * @throws RastroError `not_reachable` at once when offline, or when the connection goes first (it may have arrived
   *   all the same); `busy` when too much waits for its acknowledgement. Nothing is ever sent again from here.
   */
  publish(topic: string, payload: string | Buffer, options?: PublishOptions): Promise<void>;
  /**
   * Resolves when the broker granted every filter; offline it waits for the next connection. From then on the filters
   * are subscribed again at each connection, before {@link onUp} is called. A handler that fails is logged.
   *
   * @throws RastroError `not_allowed` when the broker refuses a filter; `not_reachable` when the link is closed first.
   */
  subscribe(filters: string | readonly string[], handler: MessageHandler): Promise<void>;
  /** Called at each connection with its id, after the subscriptions; at once when connected already. */
  onUp(listener: (connection: string) => void): void;
  onDown(listener: () => void): void;
  /** Called when the broker refuses the name or password. The link goes on trying; whoever cannot wait gives up here. */
  onFatal(listener: (error: RastroError) => void): void;
  /** The socket itself, for whoever must see its back-pressure; null while not connected. */
  stream(): Duplex | null;
  /** Says goodbye, so that no will is published. Idempotent. */
  close(): Promise<void>;
}

export type LinkOptions = {
  url: string;
  name: string;
  /** PEM of the authority by which the broker is known over TLS; those of the system when left out. */
  ca?: string | undefined;
  /** Asked again before each attempt: tokens expire. What it throws counts as a failed attempt. */
  password: () => Promise<string> | string;
  /** Left out: the name and eight random digits, the same for all connections of this link. */
  clientId?: string;
  will?: (connection: string) => Will;
  log: Logger;
  random: (bytes: number) => Buffer;
  after?: After;
  /** Seconds (MQTT 3.1.1 §3.1.2.10); a dead line is noticed after one and a half of them. 20 when left out. */
  keepaliveS?: number;
  /** For TCP, CONNACK and the subscriptions each; 5 seconds when left out. */
  timeoutMs?: number;
};

/** A connection that held for so long was a good one: the next pause is the shortest again. */
const HELD_MS = 1000;

/** Opens a link and keeps it open: pauses of 100 ms to 5 s between attempts, spread at random. */
export function openLink(o: LinkOptions): Link {
  const after = o.after ?? systemAfter;
  const backoff = createBackoff({ minimumMs: 100, maximumMs: 5000, random: o.random });
  const clientId = o.clientId ?? `${o.name}-${o.random(4).toString("hex")}`;
  const subscriptions = createSubscriptions({ name: o.name, log: o.log });
  const listeners = {
    up: new Set<(connection: string) => void>(),
    down: new Set<() => void>(),
    fatal: new Set<(error: RastroError) => void>(),
  };
  const waiting = new Set<(error: RastroError) => void>();
  let current: { id: string; connection: Connection } | null = null;
  let up = false;
  let refusal: RastroError | null = null;
  let closing: Promise<void> | null = null;
  let endPause = () => {};
  const ending = new AbortController();
  const ended = new Promise<never>((_, reject) => ending.signal.addEventListener("abort", () => reject(closed())));
  ended.catch(() => {});

  async function run(): Promise<void> {
    for (let open = true; open; open = closing === null) {
      await useOneConnection();
      if (closing === null) await pause(backoff.next());
    }
  }

  async function useOneConnection(): Promise<void> {
    try {
      const { id, connection } = await connect();
      current = { id, connection };
      await restoreSubscriptions(connection);
      const cancel = after(HELD_MS, () => backoff.reset());
      rise(id);
      await connection.gone;
      cancel();
      fall();
    } catch (error) {
      failed(error);
    } finally {
      current?.connection.destroy();
      current = null;
    }
  }

  async function connect(): Promise<{ id: string; connection: Connection }> {
    const id = o.random(8).toString("hex");
    const password = await askPassword();
    if (closing !== null) throw closed();
    const connection = await openConnection({
      url: o.url,
      name: o.name,
      ca: o.ca,
      password,
      clientId,
      will: o.will?.(id) ?? null,
      keepaliveS: o.keepaliveS ?? 20,
      timeoutMs: o.timeoutMs ?? 5000,
      after,
      signal: ending.signal,
      onMessage: subscriptions.dispatch,
    });
    if (closing !== null) {
      await connection.close();
      throw closed();
    }
    return { id, connection };
  }

  /** Asking may take as long as a distant directory; a close does not wait for it. */
  async function askPassword(): Promise<string> {
    try {
      return await Promise.race([o.password(), ended]);
    } catch (error) {
      throw noPassword(o.name, error);
    }
  }

  async function restoreSubscriptions(connection: Connection): Promise<void> {
    const cancel = after(o.timeoutMs ?? 5000, () => connection.destroy());
    try {
      await subscriptions.restore(connection);
    } finally {
      cancel();
    }
  }

  function rise(id: string): void {
    up = true;
    if (refusal) o.log.info({ url: o.url }, "connected to the broker");
    refusal = null;
    for (const listener of listeners.up) listener(id);
  }

  function fall(): void {
    up = false;
    if (closing === null) o.log.warn({ url: o.url }, "the connection to the broker went; connecting again");
    for (const listener of listeners.down) listener();
  }

  function failed(thrown: unknown): void {
    if (closing !== null) return;
    const error = thrown instanceof RastroError ? thrown : new RastroError(toProblem(thrown), { cause: thrown });
    const changed = error.message !== refusal?.message;
    refusal = error;
    if (changed) o.log.warn({ code: error.code }, error.message);
    if (error.code === "bad_credentials") for (const listener of listeners.fatal) listener(error);
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = after(ms, resolve);
      endPause = () => {
        cancel();
        resolve();
      };
    });
  }

  function whenConnected(wait: { timeoutMs?: number } = {}): Promise<void> {
    if (up) return Promise.resolve();
    if (closing !== null) return Promise.reject(closed());
    return new Promise((resolve, reject) => {
      const stop = wait.timeoutMs === undefined ? () => {} : after(wait.timeoutMs, () => end(refusal ?? offline()));
      const end = (error: RastroError | null) => {
        stop();
        listeners.up.delete(onUp);
        listeners.fatal.delete(onFatal);
        waiting.delete(end);
        if (error) reject(error);
        else resolve();
      };
      const onUp = () => end(null);
      const onFatal = (error: RastroError) => {
        if (wait.timeoutMs !== undefined) end(error);
      };
      listeners.up.add(onUp);
      listeners.fatal.add(onFatal);
      waiting.add(end);
    });
  }

  function subscribe(filters: string | readonly string[], handler: MessageHandler): Promise<void> {
    if (closing !== null) return Promise.reject(closed());
    const list = typeof filters === "string" ? [filters] : filters;
    return subscriptions.add(list, handler, current?.connection ?? null);
  }

  async function closeOnce(): Promise<void> {
    ending.abort();
    endPause();
    for (const end of waiting) end(closed());
    subscriptions.end(closed());
    await current?.connection.close();
    await running;
  }

  const running = run();
  return {
    url: o.url,
    name: o.name,
    get connected() {
      return up;
    },
    get connection() {
      return current?.id ?? null;
    },
    get refusal() {
      return refusal;
    },
    whenConnected,
    publish: (topic, payload, options = {}) =>
      current && closing === null ? current.connection.publish(topic, payload, options) : Promise.reject(offline()),
    subscribe,
    onUp(listener) {
      listeners.up.add(listener);
      if (up && current) listener(current.id);
    },
    onDown: (listener) => void listeners.down.add(listener),
    onFatal: (listener) => void listeners.fatal.add(listener),
    stream: () => (up ? (current?.connection.stream ?? null) : null),
    close: () => (closing ??= closeOnce()),
  };
}

function offline(): RastroError {
  return new RastroError({
    code: "not_reachable",
    message: "Sending to the broker failed: there is no connection at present.",
  });
}

function closed(): RastroError {
  return new RastroError({ code: "not_reachable", message: "Sending to the broker failed: this end has been closed." });
}

function noPassword(name: string, cause: unknown): RastroError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new RastroError(
    { code: "not_reachable", message: `Connecting as ${name} failed: its password could not be made (${why}).` },
    { cause },
  );
}
