import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { rastro } from "../../support/cli.ts";
import { type Plant, startPlant } from "../../support/plant.ts";

let plant: Plant;
beforeAll(async () => void (plant = await startPlant()), 60_000);
afterAll(async () => {
  await plant.stop();
  await plant.remove();
});

const run = (args: string[]) => rastro(plant.environment, args);

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "rastro-issued-"));
  onTestFinished(() => rm(made, { recursive: true, force: true }));
  return made;
}

it("init leaves what the first start has made, and show tells it", async () => {
  const shown = (await run(["tls", "show", "--json"])).json();
  expect(shown).toMatchObject({
    authority: { file: plant.folders.authorityCertificate, fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/) },
    hub: { names: expect.arrayContaining(["localhost", "127.0.0.1", "::1"]) },
  });
  expect((await run(["tls", "init", "--json"])).json()).toEqual(shown);
});

it("issues a certificate whose key is the client's alone, and puts it on record", async () => {
  const out = await folder();
  await run(["machine", "add", "scada-gateway"]);
  const issued = await run(["tls", "issue", "scada-gateway", "--days", "30", "-o", out, "--json"]);
  const { serial, key, certificate, authority } = issued.json() as Record<string, string>;
  const made = new X509Certificate(await readFile(certificate ?? ""));
  expect(made.subject).toBe("CN=scada-gateway");
  expect(made.serialNumber.toLowerCase()).toBe(serial);
  expect(made.checkIssued(new X509Certificate(await readFile(authority ?? "")))).toBe(true);
  expect(made.checkPrivateKey(createPrivateKey(await readFile(key ?? "")))).toBe(true);
  await expect
    .poll(async () => (await run(["audit", "tail", "--json"])).stdout, { timeout: 20_000 })
    .toContain("certificate.issued");

  const again = await run(["tls", "issue", "scada-gateway", "-o", out]);
  expect(again.code).not.toBe(0);
  expect(again.stderr).toContain("there is a key already");
});

it.each([
  [["tls", "issue", "nobody"], "nobody is registered and let in as nobody"],
  [["tls", "issue", "ipc-07", "--days", "9999"], "days"],
  [["tls", "issue", "ipc-07", "--days", "soon"], "days"],
])("%j is refused with a sentence", async (args, sentence) => {
  const { code, stderr } = await run([...args, "-o", await folder()]);
  expect(code).not.toBe(0);
  expect(stderr).toContain(sentence);
});
