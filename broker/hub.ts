import type { Logger } from "pino";
import type { GivenConnectionLimits } from "../lib/contracts/connection-limits.ts";
import type { ViewRates } from "../lib/contracts/view-rates.ts";
import type { HubCounters, OnAccess } from "./access-events.ts";
import type { Authenticator } from "./admission.ts";
import type { LaneCounters } from "./lane/status-lane.ts";
import type { EndedBecause, LiveConnection } from "./live-connections.ts";
import type { OutletLimits } from "./outlet.ts";
import type { Persistence } from "./persistence/persistence.ts";
import type { PortOptions } from "./ports.ts";
import type { TlsIdentity } from "./tls/tls-listener.ts";

/** What a hub is put together from. */
export type HubOptions = PortOptions & {
  /** The longest packet that is taken in from somebody who has signed in; 256 KiB unless told. */
  maxPacketBytes?: number;
  /** Whether statuses take the lane beside Aedes (`lane/`); they do unless told. */
  statusLane?: boolean;
  /** How often who looks at statuses gets the newest; {@link VIEW_RATES} unless told. */
  viewRates?: ViewRates;
  /** How many connections are taken at once; what is left out has the presets of connection-limits.ts. */
  connectionLimits?: GivenConnectionLimits;
  /** What a connection that does not keep up may cost; see outlet.ts. */
  outletLimits?: Partial<OutletLimits>;
  authenticator: Authenticator;
  log: Logger;
  onAccess?: OnAccess;
  /** Stays the caller's, to be closed after the hub. In memory unless told: retained messages and sessions end with it. */
  persistence?: Persistence;
  /** Time that a connection has until its CONNECT is in, and a WebSocket for its handshake before that; 5 s unless told. */
  connectTimeoutMs?: number;
  /** How often `$SYS/broker/…` is renewed; 10 s unless told. */
  systemTopicsMs?: number;
  now?: () => number;
  random?: (bytes: number) => Buffer;
};

/** A hub that listens. */
export interface Hub {
  /** `mqtt://127.0.0.1:1883` */
  readonly url: string;
  readonly port: number;
  /** Where MQTT over WebSocket is: `ws://127.0.0.1:8083`; null without it. */
  readonly wsUrl: string | null;
  /** Port of MQTT over TLS; null without it. */
  readonly tlsPort: number | null;
  /** Shows another certificate to whoever connects over TLS from now on. */
  renewCertificate(identity: TlsIdentity): void;
  readonly counters: HubCounters;
  /** Connections that are admitted now. */
  connected(): number;
  /** How many there may be. */
  readonly connectionsTotal: number;
  /** What the status lane did; null when it is switched off. */
  lane(): (LaneCounters & { readersBehind: number }) | null;
  /** Topics with a retained message. */
  retained(): number;
  /** Publishes a retained message of the hub's own at `$SYS/broker/<name>`; an empty one clears it. */
  show(name: string, text: string): void;
  /** Every connection that is admitted now. */
  live(): LiveConnection[];
  /**
   * Ends the connections that `which` picks, before it returns: nothing is taken from them or sent to them after it.
   * Each is a line in the log and an access event with `why`. @returns how many.
   */
  disconnect(which: (connection: LiveConnection) => boolean, why: EndedBecause): number;
  /**
   * Drops what is stored for a name and no longer covered by its rights: subscriptions of persistent sessions, and for
   * a name that is not let in any more all of them with their queues.
   */
  refresh(name: string): Promise<void>;
  listening(): boolean;
  listeningOnWebSocket(): boolean;
  listeningOnTls(): boolean;
  /** Publishes the wills of what is connected, closes every connection and the port. */
  close(): Promise<void>;
}
