import { rm } from "node:fs/promises";
import { expect, it, vi } from "vitest";
import type { PersonData } from "../../lib/contracts/privacy.ts";
import { filesWith } from "../support/bytes-in.ts";
import { rastro } from "../support/cli.ts";
import { usePlant } from "../support/plant.ts";

/*
 * Backups from before an erasure are put back, and the list of erasures is lost with the disk that it was on: the audit
 * book alone knows of it. Real processes, as a person at the hub would do it.
 */

const NAME = "wilhelmina-q";
const HUB_STORES = ["directory", "people-keys", "sessions"];
type Tail = { rows: { record: { event: { type: string; obj: { key: string }; payload: { again?: boolean } } } }[] };

const plantOf = usePlant();

async function cli(...args: string[]) {
  const ran = await rastro(plantOf().environment, args, { stdin: "correct horse battery\n" });
  expect(ran.code, `${args.join(" ")}: ${ran.stderr}`).toBe(0);
  return ran;
}

async function erasuresOnRecord(sub: string): Promise<(boolean | undefined)[]> {
  const { rows } = (await cli("audit", "tail", "--limit", "200", "--json")).json() as Tail;
  return rows
    .map(({ record }) => record.event)
    .filter(({ type, obj }) => type === "person.erased" && obj.key === sub)
    .map(({ payload }) => payload.again);
}

it("nobody who was erased comes back with a backup", { timeout: 120_000 }, async () => {
  const { folders, processes } = plantOf();
  await cli("user", "add", NAME, "--profile", "operator", "--full-name", "W Q", "--password-stdin");
  const { sub } = (await cli("privacy", "show", NAME, "--json")).json() as PersonData;
  await cli("backup", "create", ...HUB_STORES);
  await cli("privacy", "erase", NAME, "--ground", "SUBJECT_REQUEST", "--reason", "she asked for it", "--yes");
  await vi.waitFor(async () => expect(await erasuresOnRecord(sub)).toEqual([undefined]), { timeout: 20_000 });
  await plantOf().stop();

  await rm(folders.erasures);
  const [first] = HUB_STORES;
  expect((await cli("backup", "restore", first ?? "")).stdout).toMatch(/erasures +1 that only the audit book knew/);
  for (const store of HUB_STORES.slice(1)) await cli("backup", "restore", store);
  expect(await filesWith(folders.directory, NAME)).not.toEqual([]);

  await processes.broker.start();
  await Promise.all([processes.audit.start(), processes.production.start(), processes.fleet.start()]);
  expect((await cli("privacy", "show", sub, "--json")).json()).toMatchObject({ name: null, fullName: null });
  expect(await filesWith(folders.broker, NAME)).toEqual([]);
  await vi.waitFor(async () => expect(await erasuresOnRecord(sub)).toEqual([true, undefined]), { timeout: 20_000 });
  await cli("audit", "verify");
});
