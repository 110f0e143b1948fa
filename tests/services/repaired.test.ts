import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { v7 } from "uuid";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { openBookStore } from "../../lib/storage/repair/repaired-copy.ts";
import { startAudit } from "../../services/audit/start-audit.ts";
import { startProduction } from "../../services/production/start-production.ts";
import { type Keyed, startTestHub, type TestHub } from "../support/hub.ts";
import { joinAsPerson, joinAsService } from "./join-hub.ts";

/* Services whose store LevelDB cannot open any more: they start, show what a repaired copy has, and say why. */

let hub: TestHub;
let folder: string;

beforeAll(async () => {
  hub = await startTestHub();
  await hub.addMachine("press-01");
  await hub.addPerson("maria", "coordinator");
});
afterAll(() => hub.close());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "rastro-repaired-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const open = () => openBookStore(join(folder, "store"), { copy: join(folder, "store-repaired") });

it.each(["audit", "production"] as const)("%s starts on a repaired copy, says so and shows it", async (name) => {
  const service = await hub.addService(name);
  await withService(name, service, async (started) => {
    expect(started.checks["book"]?.()).toBe(true);
    if (name === "production") await makeEntry();
    else await started.verifications.runScheduled("nightly");
  });
  await writeFile(join(folder, "store", "CURRENT"), "MANIFEST-999999\n");

  await withService(name, service, async (started) => {
    expect(started.checks["book"]?.()).toMatch(
      /^the book takes no records: unreadable: the store cannot be opened .*; it has all of 1 records$/,
    );
    const maria = await joinAsPerson(hub, "maria");
    const { records } = await maria.call(name, "book-tail", { limit: 5 });
    expect(records.map(({ seq }) => seq)).toEqual([0]);
    expect(await maria.call(name, "book-verify", {})).toMatchObject({ ok: true, size: 1 });
    await maria.link.close();
    // Nobody but production takes changes from people.
    const refusal = name === "production" ? await makeEntry().catch(codeOf) : "book_damaged";
    expect(refusal).toBe("book_damaged");
  });
});

async function makeEntry(): Promise<void> {
  const maria = await joinAsPerson(hub, "maria");
  const fields = { machine: "press-01", lot: "L-1", good: 5 };
  try {
    const request = { id: v7(), at: new Date().toISOString(), tz: "America/Sao_Paulo", fields };
    await maria.call("production", "entry-add", request);
  } finally {
    await maria.link.close();
  }
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code;
}

type Started = Pick<Awaited<ReturnType<typeof startAudit>>, "checks" | "verifications" | "close">;

async function withService(
  name: "audit" | "production",
  service: Keyed,
  use: (started: Started) => Promise<void>,
): Promise<void> {
  const opened = await open();
  const parts = {
    ...(await joinAsService(hub, service, opened.store)),
    ...opened,
    headNote: join(folder, "head.note"),
  };
  const started: Started = name === "audit" ? await startAudit(parts) : await startProduction(parts);
  try {
    await use(started);
  } finally {
    await started.close();
    await parts.link.close();
    await opened.close();
  }
}
