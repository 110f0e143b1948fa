import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import { v7 } from "uuid";
import { onTestFinished } from "vitest";
import { type AccessBook, openAccessBook } from "../../broker/access-book.ts";
import type { EventDraft } from "../../lib/contracts/events.ts";
import type { LedgerRecord } from "../../lib/ledger/record.ts";
import { createOutboxSender } from "../../lib/messaging/outbox-sender.ts";
import { Outbox } from "../../lib/storage/outbox/outbox.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { startAudit } from "../../services/audit/start-audit.ts";
import { joinAsPerson, joinAsService } from "../services/join-hub.ts";
import { startTestHub, type TestHub } from "./hub.ts";
import { sign } from "../../lib/ledger/signature.ts";
import { SILENT } from "./silent.ts";

/* What the hub sees of access, from a connection to a record that an auditor reads. */

export type AuditRecord = LedgerRecord & { event: EventDraft };

export type AccessPlant = {
  hub: TestHub;
  /** A minute passes for the counts. */
  minute(): void;
  /** What an auditor reads: the records of one type, or all, oldest first. */
  records(type?: string): Promise<AuditRecord[]>;
  connect(user: string, password: string, options?: IClientOptions): Promise<MqttClient>;
};

/** A hub whose access book is on record in a real audit service. Closed with the test. */
export async function startAccessPlant(o: Parameters<typeof startTestHub>[0] = {}): Promise<AccessPlant> {
  let book: AccessBook | null = null;
  const clock = { ahead: 0 };
  const now = () => Date.now() + clock.ahead;
  let flush: (() => void)[] = [];
  const hub: TestHub = await startTestHub({
    ...o,
    onAccess: (event) => book?.ofConnection(event),
    onRefusedRequest: (refused) => book?.ofRequest(refused),
  });
  onTestFinished(() => hub.close());
  await hub.addPerson("maria", "operator");
  await hub.addPerson("ada", "analyst");
  await hub.addMachine("ipc-01");

  const broker = await hub.addService("broker");
  const store = await Store.inMemory();
  const outbox = await Outbox.open({
    store,
    book: "audit",
    name: "broker",
    app: "broker@test",
    sign: (bytes) => sign(broker.key.privateKey, bytes),
    random: (bytes) => Buffer.from(v7().replaceAll("-", ""), "hex").subarray(16 - bytes),
    now,
  });
  book = openAccessBook({
    store,
    outbox,
    principalOf: (name) => hub.directory.register.principal(name),
    keyOf: (sub) => hub.directory.people.key(sub),
    service: { name: "broker", tz: "America/Sao_Paulo", now },
    newId: v7,
    random: (bytes) => Buffer.alloc(bytes, 9),
    repeat: (task) => {
      flush = [...flush, task];
      return () => (flush = []);
    },
    log: SILENT,
  });
  const owner = { kind: "services", name: "broker" } as const;
  const link = await hub.link("broker", broker.password);
  const sender = createOutboxSender({ link, outbox, owner, log: SILENT, now: Date.now });
  sender.start();

  const folder = await mkdtemp(join(tmpdir(), "rastro-access-"));
  const auditStore = await Store.openFolder(join(folder, "store"));
  const parts = await joinAsService(hub, await hub.addService("audit"), auditStore);
  const audit = await startAudit({ ...parts, headNote: join(folder, "head.note") });
  onTestFinished(async () => {
    await book?.close();
    await sender.stop();
    await audit.close();
    await parts.link.close();
    await auditStore.close();
    await store.close();
    await rm(folder, { recursive: true });
  });

  const ada = await joinAsPerson(hub, "ada");
  return {
    hub,
    minute() {
      clock.ahead += 61_000;
      for (const task of flush) task();
    },
    records: async (type) => {
      const { rows } = await ada.call("audit", "audit-tail", { limit: 200 });
      const records = rows.map(({ record }) => record as AuditRecord);
      return records.filter(({ event }) => type === undefined || event.type === type);
    },
    connect: (user, password, options = {}) =>
      mqtt.connectAsync(hub.url, { protocolVersion: 4, reconnectPeriod: 0, username: user, password, ...options }),
  };
}
