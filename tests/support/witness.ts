import { v7 } from "uuid";
import type { BookName } from "../../lib/contracts/names.ts";
import { filters, parseWitness, topics } from "../../lib/contracts/topics.ts";
import type { WitnessAlarm } from "../../lib/contracts/witness.ts";
import { judgeAddCheckpoint, type Witnessed } from "../../lib/ledger/add-checkpoint.ts";
import type { Checkpoint } from "../../lib/ledger/checkpoint.ts";
import { cosign } from "../../lib/ledger/cosignature.ts";
import {
  formatNote,
  formatSignature,
  formatVerifierKey,
  SIGNATURE_TYPES,
  verifierKey,
} from "../../lib/ledger/signed-note.ts";
import { createKey } from "../../lib/runtime/keys.ts";
import { joinAsMachine } from "../services/join-hub.ts";
import type { Keyed, TestHub } from "./hub.ts";
import { logKeysOf } from "./log-keys.ts";

const BOOKS: readonly BookName[] = ["production", "audit"];

/** A witness without anything that carries it: judges as C2SP's tlog-witness says, and keeps its state in memory. */
export function witnessOf(name: string, plant: string) {
  const pair = createKey();
  const key = verifierKey(name, SIGNATURE_TYPES.cosignature, pair.publicRaw);
  const logKeys = BOOKS.flatMap((book) => logKeysOf(`${plant}/${book}`).known());
  const witnessed = new Map<string, Witnessed & { note: string }>();

  function answer(request: string): { status: number; body: string; alarm: WitnessAlarm | null } {
    const judged = judgeAddCheckpoint(request, { logKeys, witnessed: (origin) => witnessed.get(origin) ?? null });
    const { status } = judged;
    if (judged.status === 409) return { status, body: `${judged.size}\n`, alarm: null };
    if (judged.status === 422) return { status, body: `${judged.why}\n`, alarm: alarmOf(judged.why, judged.conflict) };
    if (judged.status !== 200) return { status, body: `${judged.why}\n`, alarm: null };
    const { head, note } = judged.checkpoint;
    witnessed.set(head.origin, { ...head, note: formatNote(note) });
    const time = Math.floor(Date.now() / 1000);
    const cosignature = cosign(note.text, { name, privateKey: pair.privateKey, time });
    return { status, body: formatSignature(cosignature), alarm: null };
  }

  function alarmOf(message: string, { head, note }: Checkpoint): WitnessAlarm {
    const { origin } = head;
    const cosigned = witnessed.get(origin)?.note ?? null;
    const since = new Date().toISOString();
    return { v: 1, alarm: "inconsistent", origin, since, message, cosigned, seen: formatNote(note) };
  }

  return { key, answer, size: (book: BookName) => witnessed.get(`${plant}/${book}`)?.size ?? null };
}

/** {@link witnessOf} as a machine's agent on a real hub. */
export async function joinAsWitness(hub: TestHub, machine: Keyed, o: { host: string | null }) {
  const core = witnessOf(`${machine.name}/witness`, hub.plant);
  const joined = await joinAsMachine(hub, machine, "audit");
  let isSilent = false;

  await joined.link.subscribe(filters.witnessRequestsTo(machine.name), async (topic, payload) => {
    const about = parseWitness(topic);
    if (about?.kind !== "add" || about.request === null || isSilent) return;
    const response = topics.witnessResponse(machine.name, about.book, about.request);
    const { status, body, alarm } = core.answer(payload.toString());
    await joined.link.publish(response, `${status}\n${body}`, { qos: 1 });
    if (alarm === null) return;
    const text = JSON.stringify(alarm satisfies WitnessAlarm);
    await joined.link.publish(topics.witnessAlarm(machine.name, about.book), text, { qos: 1, retain: true });
  });

  return {
    ...joined,
    name: machine.name,
    key: core.key,
    /** What it has cosigned of a book. */
    size: (book: BookName) => core.size(book),
    /** Answers nothing any more, or again. */
    beSilent: (silent: boolean) => void (isSilent = silent),
    /** Tells the audit book by which key it cosigns, and on which computer. */
    offer: (host: string | null = o.host) =>
      joined.stage({
        id: v7(),
        type: "witness.offered",
        at: new Date().toISOString(),
        tz: "UTC",
        clock: { source: "ntp", offsetMs: 0 },
        actor: { sub: machine.name, auth: "device" },
        obj: { kind: "witness", key: machine.name },
        reason: null,
        payload: { vkey: formatVerifierKey(core.key), host },
      }),
    online: (online: boolean) =>
      joined.link.publish(
        topics.presence(machine.name),
        JSON.stringify({
          v: 1,
          online,
          since: new Date().toISOString(),
          why: online ? "birth" : "shutdown",
          connection: "c",
          boot: "b",
          app: "edge-agent@test",
          key: null,
        }),
        { qos: 1, retain: true },
      ),
  };
}
