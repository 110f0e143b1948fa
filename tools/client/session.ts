import type { Session } from "../../lib/contracts/directory.ts";
import type { OperationsOf, RequestInput, ResponseOf, ServiceWithOperations } from "../../lib/contracts/operations.ts";
import type { CallOptions } from "../../lib/messaging/request-client.ts";
import type { Bearer, DirectoryClient } from "../../lib/runtime/directory-client.ts";
import type { Settings } from "../../lib/runtime/settings.ts";
import type { Connection } from "./connection.ts";
import { findHub, type Hub } from "./hub.ts";
import { signIn } from "./sign-in.ts";

/** A command's dealings with the hub as somebody who is signed in. */
export interface SignedInHub {
  readonly settings: Settings;
  readonly directory: DirectoryClient;
  readonly session: Session;
  readonly bearer: Bearer;
  /** The password that the session was made with, when the environment named it. */
  readonly password: string | null;
  /**
   * Asks a service. The connection is made at the first call.
   * @throws RastroError what the service answered, `timeout`, `not_reachable`, `bad_credentials`.
   */
  call<S extends ServiceWithOperations, O extends OperationsOf<S>>(
    service: S,
    operation: O,
    body: RequestInput<S, O>,
    options?: CallOptions,
  ): Promise<ResponseOf<S, O>>;
  /** What the broker retains under a filter, by topic. Throws as {@link SignedInHub.call}; `not_allowed`. */
  retained(filter: string): Promise<Map<string, string>>;
}

/** Signs in, does the work, and ends what was begun: the connection, and the session if it was made for this command. */
export async function withHub<T>(env: NodeJS.ProcessEnv, work: (hub: SignedInHub) => Promise<T>): Promise<T> {
  const hub = findHub(env);
  const { session, own, password } = await signIn(hub, env, Date.now);
  const bearer = { name: session.user, token: session.token };
  const connect = lazily(() => openConnection(hub, session));
  try {
    return await work({
      settings: hub.settings,
      directory: hub.directory,
      session,
      bearer,
      password,
      call: async (service, operation, body, options) => (await connect.get()).call(service, operation, body, options),
      retained: async (filter) => (await connect.get()).retained(filter),
    });
  } finally {
    await connect.made()?.then(
      (connection) => connection.close(),
      () => {},
    );
    // The work is done either way; a session that could not be ended runs out by itself.
    if (own) await hub.directory.signOut(bearer).catch(() => {});
  }
}

/** The MQTT client is a large module: only commands that ask a service load it. */
async function openConnection(hub: Hub, session: Session): Promise<Connection> {
  const { connect } = await import("./connection.ts");
  return connect({ url: hub.settings.brokerUrl, ca: hub.ca(), session });
}

function lazily<T>(make: () => Promise<T>): { get(): Promise<T>; made(): Promise<T> | null } {
  let made: Promise<T> | null = null;
  return { get: () => (made ??= make()), made: () => made };
}
