import { v7 } from "uuid";
import type { BookName } from "../../lib/contracts/names.ts";
import { filters, parseWitness, topics } from "../../lib/contracts/topics.ts";
import { judgeAddCheckpoint, type Witnessed } from "../../lib/ledger/add-checkpoint.ts";
import { cosign } from "../../lib/ledger/cosignature.ts";
import { formatSignature, formatVerifierKey, SIGNATURE_TYPES, verifierKey } from "../../lib/ledger/signed-note.ts";
import { createKey } from "../../lib/runtime/keys.ts";
import { joinAsMachine } from "../services/join-hub.ts";
import type { Keyed, TestHub } from "./hub.ts";
import { logKeysOf } from "./log-keys.ts";

const BOOKS: readonly BookName[] = ["production", "audit"];

/** A witness on a real hub, that judges as C2SP's tlog-witness says and keeps its state in memory. */
export async function joinAsWitness(hub: TestHub, machine: Keyed, o: { host: string | null }) {
  const name = `${machine.name}/witness`;
  const key = createKey();
  const vkey = formatVerifierKey(verifierKey(name, SIGNATURE_TYPES.cosignature, key.publicRaw));
  const logKeys = BOOKS.flatMap((book) => logKeysOf(`${hub.plant}/${book}`).known());
  const witnessed = new Map<string, Witnessed>();
  const asked: string[] = [];
  const joined = await joinAsMachine(hub, machine, "audit");

  function answer(request: string): string {
    const judged = judgeAddCheckpoint(request, { logKeys, witnessed: (origin) => witnessed.get(origin) ?? null });
    if (judged.status === 409) return `409\n${judged.size}\n`;
    if (judged.status !== 200) return `${judged.status}\n${judged.why}\n`;
    const { head, note } = judged.checkpoint;
    witnessed.set(head.origin, head);
    const time = Math.floor(Date.now() / 1000);
    return `200\n${formatSignature(cosign(note.text, { name, privateKey: key.privateKey, time }))}`;
  }

  await joined.link.subscribe(filters.witnessRequestsTo(machine.name), async (topic, payload) => {
    const about = parseWitness(topic);
    if (about?.kind !== "add" || about.request === null) return;
    asked.push(topic);
    const response = topics.witnessResponse(machine.name, about.book, about.request);
    await joined.link.publish(response, answer(payload.toString()), { qos: 1 });
  });

  return {
    ...joined,
    name: machine.name,
    vkey,
    key: verifierKey(name, SIGNATURE_TYPES.cosignature, key.publicRaw),
    asked,
    /** What it has cosigned of a book. */
    size: (book: BookName) => witnessed.get(`${hub.plant}/${book}`)?.size ?? null,
    sawMore: (book: BookName, size: number) => {
      const origin = `${hub.plant}/${book}`;
      witnessed.set(origin, { size, root: witnessed.get(origin)?.root ?? Buffer.alloc(32) });
    },
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
        payload: { vkey, host },
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
