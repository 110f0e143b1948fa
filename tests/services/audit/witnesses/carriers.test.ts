import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import type { Link } from "../../../../lib/messaging/link.ts";
import { after } from "../../../../lib/messaging/timing.ts";
import { originHash } from "../../../../lib/witness/log-notes.ts";
import { openCarriers } from "../../../../services/audit/witnesses/carriers.ts";

const ORIGIN = "plant-test/audit";
const SHOWN = `GET /log/${originHash(ORIGIN)}/checkpoint`;
type Said = { status: number; body?: string; location?: string };

/** What comes of asking a witness over HTTP that answers each path so. */
async function ask(says: Record<string, Said>) {
  const server = createServer((request, response) => {
    const { status, body = "", location } = says[`${request.method} ${request.url}`] ?? { status: 404 };
    response.writeHead(status, location === undefined ? {} : { location }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => server.closeAllConnections());
  onTestFinished(() => void server.close());
  const link = { subscribe: async () => undefined } as unknown as Link;
  const carriers = await openCarriers({ link, newId: () => "id", after, timeoutMs: 2000 });
  const carry = carriers.overHttp(`http://127.0.0.1:${(server.address() as AddressInfo).port}/log/`);
  return carry("old 0\n\nnote\n", ORIGIN);
}

const has = (body: string) => ({ "POST /log/add-checkpoint": { status: 409, body } });

it("has a witness that names a size show its checkpoint", async () => {
  const shown = { [SHOWN]: { status: 200, body: "a note\n" } };
  expect(await ask({ ...has("7\n"), ...shown })).toEqual({ status: 409, size: 7, note: "a note\n" });
  expect(await ask(has("7\n"))).toEqual({ status: 409, size: 7, note: null });
  expect(await ask({ ...has("0\n"), ...shown })).toEqual({ status: 409, size: 0, note: null });
});

it("takes what is no answer for none", async () => {
  expect(await ask(has("many\n"))).toBeNull();
  expect(await ask({ "POST /log/add-checkpoint": { status: 302, location: "/" } }).catch(() => "away")).toBe("away");
});

it.each<[string, Record<string, Said>]>([
  ["cannot show it now", { ...has("7\n"), [SHOWN]: { status: 503 } }],
  ["is asked too much for now", { ...has("7\n"), [SHOWN]: { status: 429 } }],
  ["leads elsewhere", { ...has("7\n"), [SHOWN]: { status: 302, location: "http://127.0.0.1:1/" } }],
  ["shows more than any checkpoint has", { ...has("7\n"), [SHOWN]: { status: 200, body: "x".repeat(20_000) } }],
  ["has a proxy that does not reach it", { "POST /log/add-checkpoint": { status: 502 } }],
])("takes one that %s for away", async (_what, says) => {
  await expect(ask(says)).rejects.toMatchObject({ code: "not_reachable" });
});
