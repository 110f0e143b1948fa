import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseCheckpoint, signedBy } from "../../lib/ledger/checkpoint.ts";
import { followRotations } from "../../lib/ledger/key-rotation.ts";
import { parseVerifierKey } from "../../lib/ledger/signed-note.ts";
import { foldersOf } from "../../lib/runtime/folders.ts";
import { openLogKeys } from "../../lib/runtime/log-keys.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { startAudit } from "../../services/audit/start-audit.ts";
import { startTestHub, type TestHub } from "../support/hub.ts";
import { joinAsPerson, joinAsService } from "./join-hub.ts";

/* The key of a log is changed while the plant runs. */

describe("rotating a log's key on a hub", () => {
  let hub: TestHub;
  let data: string;
  const undo: (() => Promise<unknown>)[] = [];

  beforeEach(async () => {
    data = await mkdtemp(join(tmpdir(), "rastro-rotation-"));
    hub = await startTestHub();
    undo.push(
      () => rm(data, { recursive: true }),
      () => hub.close(),
    );
    const store = await Store.openFolder(join(data, "store"));
    const parts = await joinAsService(hub, await hub.addService("audit"), store);
    const logKeys = await openLogKeys({ folders: foldersOf(data), book: "audit", plant: hub.plant });
    const backups = { ...parts.backups, folder: join(data, "backups") };
    const headNote = join(data, "head.note");
    const audit = await startAudit({ ...parts, logKeys, headNote, backups });
    undo.push(
      () => store.close(),
      () => parts.link.close(),
      () => audit.close(),
    );
    await hub.addPerson("root", "administrator");
    await hub.addPerson("maria", "supervisor");
  });
  afterEach(async () => {
    for (const step of undo.splice(0).toReversed()) await step();
  });

  /** Resolves with the first checkpoint on the topic that so many of the known keys signed. */
  async function published(known: readonly string[], count: number): Promise<string> {
    const { link } = await joinAsPerson(hub, "maria");
    undo.push(() => link.close());
    return new Promise((resolve, reject) => {
      const look = (_topic: string, payload: Buffer) => {
        const text = payload.toString();
        if (signedBy(parseCheckpoint(text), known.map(parseVerifierKey)).length === count) resolve(text);
      };
      link.subscribe("books/audit/checkpoint", look).catch(reject);
    });
  }

  it("signs with both keys, hands over by a note that can be followed, and lets the old key go", async () => {
    const admin = await joinAsPerson(hub, "root");
    undo.push(() => admin.link.close());
    const reason = { code: "OTHER" as const, text: "the administrator changed" };
    const before = await admin.call("audit", "book-keys", {});
    await published(before.keys, 1);

    const during = await admin.call("audit", "book-rotate-key", { step: "rotate", reason });
    expect(during.keys).toHaveLength(2);
    const saved = await admin.call("audit", "backup-list", {});
    expect(saved.map(({ header }) => header?.why)).toEqual(["before-key-rotation"]);
    expect(parseCheckpoint(saved[0]?.header?.checkpoint ?? "").head.size).toBeLessThanOrEqual(
      saved[0]?.header?.size ?? 0,
    );
    expect(during.keys[1]).toBe(before.keys[0]);
    await published(during.keys, 2);

    const after = await admin.call("audit", "book-rotate-key", { step: "retire", reason });
    expect(after.keys).toEqual([during.keys[0]]);
    const { rotations } = await admin.call("audit", "book-keys", {});
    const followed = followRotations(parseVerifierKey(before.keys[0] ?? ""), rotations);
    expect(followed.at(-1)).toEqual(parseVerifierKey(after.keys[0] ?? ""));
    await expect(admin.call("audit", "book-rotate-key", { step: "retire", reason })).rejects.toMatchObject({
      code: "no_rotation",
    });

    const { rows } = await admin.call("audit", "audit-tail", { limit: 200 });
    const told = rows.map(({ record, text }) => [(record as { event: { type: string } }).event.type, text]);
    expect(told).toContainEqual(["log-key.rotated", reason.text]);
    expect(told).toContainEqual(["log-key.retired", reason.text]);
  });

  it("is an administrator's to do", async () => {
    const maria = await joinAsPerson(hub, "maria");
    undo.push(() => maria.link.close());
    const reason = { code: "OTHER" as const, text: "because I would like to" };
    await expect(maria.call("audit", "book-rotate-key", { step: "rotate", reason })).rejects.toMatchObject({
      code: "not_allowed",
    });
    expect((await maria.call("audit", "book-keys", {})).keys).toHaveLength(1);
  });
});
