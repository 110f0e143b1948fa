import { v7 } from "uuid";
import type { BookName } from "../../lib/contracts/names.ts";
import { filters, parseWitness, topics } from "../../lib/contracts/topics.ts";
import { formatWitnessAnswer, type WitnessAlarm, type WitnessAnswer } from "../../lib/contracts/witness.ts";
import { judgeAddCheckpoint, parseAddCheckpoint, type Witnessed } from "../../lib/ledger/add-checkpoint.ts";
import { parseCheckpoint } from "../../lib/ledger/checkpoint.ts";
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

  function answer(request: string): WitnessAnswer {
    let asked = "";
    const judged = judgeAddCheckpoint(request, {
      logKeys,
      witnessed: (origin) => witnessed.get((asked = origin)) ?? null,
    });
    if (judged.status === 409) return { ...judged, note: witnessed.get(asked)?.note ?? null };
    if (judged.status !== 200) return judged;
    const { head, note } = judged.checkpoint;
    witnessed.set(head.origin, { ...head, note: formatNote(note) });
    const time = Math.floor(Date.now() / 1000);
    const cosignature = cosign(note.text, { name, privateKey: pair.privateKey, time });
    return { status: 200, signatures: formatSignature(cosignature) };
  }

  /** What it accuses a log of that has asked for this and been refused with 422. */
  function alarmOf(request: string, message: string): WitnessAlarm {
    const { head, note } = parseCheckpoint(parseAddCheckpoint(request).checkpoint);
    const { origin } = head;
    const cosigned = witnessed.get(origin)?.note ?? null;
    const since = new Date().toISOString();
    return { v: 1, alarm: "inconsistent", origin, since, message, cosigned, seen: formatNote(note) };
  }

  const of = (book: BookName) => witnessed.get(`${plant}/${book}`);
  return {
    key,
    answer,
    alarmOf,
    size: (book: BookName) => of(book)?.size ?? null,
    note: (book: BookName) => of(book)?.note ?? null,
  };
}

/** {@link witnessOf} as a machine's agent on a real hub. */
export async function joinAsWitness(hub: TestHub, machine: Keyed, o: { host: string | null }) {
  const core = witnessOf(`${machine.name}/witness`, hub.plant);
  const joined = await joinAsMachine(hub, machine, "audit");
  let isSilent = false;
  let lie: WitnessAnswer | null = null;

  await joined.link.subscribe(filters.witnessRequestsTo(machine.name), async (topic, payload) => {
    const about = parseWitness(topic);
    if (about?.kind !== "add" || about.request === null || isSilent) return;
    const response = topics.witnessResponse(machine.name, about.book, about.request);
    const request = payload.toString();
    const said = about.book === "audit" && lie !== null ? lie : core.answer(request);
    await joined.link.publish(response, formatWitnessAnswer(said), { qos: 1 });
    if (said.status !== 422) return;
    const text = JSON.stringify(core.alarmOf(request, said.why));
    await joined.link.publish(topics.witnessAlarm(machine.name, about.book), text, { qos: 1, retain: true });
  });

  return {
    ...joined,
    name: machine.name,
    key: core.key,
    /** What it has cosigned of a book. */
    size: (book: BookName) => core.size(book),
    note: (book: BookName) => core.note(book),
    /** Answers what is asked about the audit book with this, or with the truth again. */
    lie: (answer: WitnessAnswer | null) => void (lie = answer),
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
