import { randomBytes } from "node:crypto";
import { v7 } from "uuid";
import { createAdmission } from "../../../edge-agent/commands/admit-command.ts";
import { commandExecuted } from "../../../edge-agent/commands/command-events.ts";
import type { Ended } from "../../../edge-agent/commands/execute.ts";
import { createJournal } from "../../../edge-agent/commands/journal.ts";
import { createReceiver } from "../../../edge-agent/commands/receiver.ts";
import type { Command, CommandResult } from "../../../lib/contracts/commands.ts";
import { topics } from "../../../lib/contracts/topics.ts";
import { importPublicKey } from "../../../lib/ledger/signature.ts";
import { createKey, type KeyPair } from "../../../lib/runtime/keys.ts";
import { Outbox } from "../../../lib/storage/outbox/outbox.ts";
import { Store } from "../../../lib/storage/store/store.ts";
import { command, signedBy } from "../../support/commands.ts";
import { recording } from "../../support/recording-outbox.ts";
import { SILENT } from "../../support/silent.ts";

export const MACHINE = "ipc-07";
export const NOW = Date.parse("2026-11-24T12:00:00.000Z");
export const FLEET = createKey();

/** The hub's time as an agent knows it; `told` is what the hub says when it is asked again. */
export function hubTimeOf(offset: number | null, told: number | null = offset) {
  const state = { offset, asked: 0 };
  return {
    state,
    offsetMs: () => state.offset,
    ask: async () => {
      state.asked += 1;
      state.offset = told;
      return NOW + (told ?? 0);
    },
  };
}

type Options = { store?: Store; key?: KeyPair | null; hubTime?: ReturnType<typeof hubTimeOf> };

/** A receiver with everything real but the execution, which is counted, and the broker. */
export async function receiverOf({ store, key = FLEET, hubTime = hubTimeOf(0) }: Options = {}) {
  const own = store ?? (await Store.inMemory());
  const clock = { now: NOW };
  const now = () => clock.now;
  const opened = await Outbox.open({
    store: own,
    book: "audit",
    name: MACHINE,
    app: "edge-agent@test",
    sign: null,
    random: randomBytes,
    now,
  });
  const { outbox, told } = recording(opened);
  const moment = () => ({
    id: v7(),
    at: new Date(clock.now).toISOString(),
    tz: "UTC",
    clock: { source: "ntp" as const, offsetMs: 0 },
  });
  const journal = createJournal({
    store: own,
    tell: (tx, entry, result) => void outbox.stage(tx, commandExecuted(MACHINE, entry, result, moment())),
    now,
  });
  const said: (CommandResult | { ack: string })[] = [];
  const executed: string[] = [];
  const refused: string[] = [];
  const execution = { run: async (): Promise<Ended> => ({ status: "succeeded", data: { done: true }, error: null }) };
  const receiver = createReceiver({
    machine: MACHINE,
    key: key === null ? null : importPublicKey(key.publicRaw),
    admission: createAdmission({
      allowed: new Set(["ping", "system-info"]),
      hubTime,
      newest: () => journal.newest(),
      now,
      clock: now,
    }),
    journal,
    answers: {
      ack: (_name, id) => void said.push({ ack: id }),
      progress: () => undefined,
      result: (_name, result) => void said.push(result),
    },
    execute: ({ id }) => {
      executed.push(id);
      return execution.run();
    },
    onRefused: ({ code }) => void refused.push(code),
    now,
    log: SILENT,
  });
  const takeBytes = (payload: string | Buffer, o: { topic?: string; retained?: boolean } = {}) =>
    receiver.take(o.topic ?? topics.command(MACHINE, "ping"), Buffer.from(payload), o.retained ?? false);
  const take = (made: Command, by: KeyPair = FLEET) => takeBytes(JSON.stringify(signedBy(by, made)));
  return { store: own, clock, receiver, journal, told, said, executed, refused, execution, take, takeBytes };
}

/** A command of the fixed time of these tests. */
export const issued = (change: Partial<Command> = {}) => command(change, NOW);
