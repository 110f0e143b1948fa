import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { v7 } from "uuid";
import { describe, expect, it, vi } from "vitest";
import { witnessAnswerBody } from "../../../lib/contracts/witness.ts";
import { parseCheckpoint } from "../../../lib/ledger/checkpoint.ts";
import { judgeCheckpoint, parsePolicy } from "../../../lib/ledger/policy.ts";
import { formatVerifierKey } from "../../../lib/ledger/signed-note.ts";
import { BY_DIRECTORY } from "../../../broker/directory/drafts.ts";
import { witnessOf } from "../../support/witness.ts";
import { HUB_HOST, hostOf, openWitnessedPlant, reason, WAIT } from "../../support/witnessed-plant.ts";

/* Both books on a real hub, with witnesses that answer as C2SP's tlog-witness says. */

describe("the witnesses of both books", () => {
  it("lets in who offers itself, and has every checkpoint of both books cosigned", async () => {
    const { admin, begin, beginProduction, witness, list, standings, rowsOf, cosigners } = await openWitnessedPlant();
    await begin();
    await beginProduction();
    const all = [
      await witness("ipc-01", hostOf(1)),
      await witness("ipc-02", hostOf(2)),
      await witness("own", HUB_HOST),
    ];
    for (const one of all) await one.offer();

    await vi.waitFor(
      async () => expect(await standings()).toEqual(["ipc-01 counts", "ipc-02 counts", "own own-host"]),
      WAIT,
    );
    const keys = all.map(({ key }) => key);
    await vi.waitFor(async () => expect(await cosigners("audit", keys)).toBe(3), WAIT);
    await vi.waitFor(async () => expect(await cosigners("production", keys)).toBe(3), WAIT);

    const { text } = await admin.call("audit", "witness-policy", {});
    const { note } = await admin.call("audit", "book-checkpoint", {});
    expect(judgeCheckpoint(parsePolicy(text), parseCheckpoint(note ?? "")).refusal).toBeNull();
    const [audit, production] = [
      { book: "audit", needed: 2, cosigned: 2, troubles: [] },
      { book: "production", needed: 2, cosigned: 2, troubles: [] },
    ];
    await vi.waitFor(async () => expect((await list()).books).toMatchObject([audit, production]), WAIT);
    expect(await rowsOf("witness.admitted")).toHaveLength(3);
  });

  it("counts one witness of a computer, none of which the computer is not known, and whom a person lets in", async () => {
    const { admin, begin, witness, standings, rowsOf } = await openWitnessedPlant();
    await begin();
    const one = await witness("ipc-01", hostOf(1));
    const twin = await witness("ipc-02", hostOf(1));
    const lost = await witness("ipc-03", null);
    for (const each of [one, twin, lost]) {
      await each.offer();
      await vi.waitFor(async () => expect((await standings()).join()).toContain(each.name), WAIT);
    }
    expect(await standings()).toEqual(["ipc-01 counts", "ipc-02 same-host", "ipc-03 unknown-host"]);

    await admin.call("audit", "witness-add", { event: v7(), name: "ipc-03", vkey: null, url: null, reason });
    await admin.call("audit", "witness-remove", { event: v7(), name: "ipc-01", reason });
    expect(await standings()).toEqual(["ipc-01 removed", "ipc-02 counts", "ipc-03 counts"]);
    await one.offer();
    await vi.waitFor(async () => expect(await rowsOf("witness.offered")).toHaveLength(4), WAIT);
    expect(await standings()).toContain("ipc-01 removed");
    const [removed] = await rowsOf("witness.removed");
    expect(removed).toMatchObject({ text: reason.text });
  });

  it("does not count whose machine is revoked from then on, nor by its old key once it is readmitted", async () => {
    const { hub, admin, begin, witness, list, standings, rowsOf, cosigners } = await openWitnessedPlant();
    await begin();
    const one = await witness("ipc-01", hostOf(1));
    await one.offer();
    await vi.waitFor(async () => expect(await cosigners("audit", [one.key])).toBe(1), WAIT);
    await hub.directory.devices.revoke(BY_DIRECTORY, "ipc-01");
    await vi.waitFor(async () => expect(await standings()).toEqual(["ipc-01 revoked"]), WAIT);
    expect((await list()).books[0]).toMatchObject({ needed: 0, cosigned: 0 });

    await hub.directory.devices.readmit(BY_DIRECTORY, "ipc-01", null);
    await vi.waitFor(async () => expect(await rowsOf("machine.readmitted")).toHaveLength(1), WAIT);
    await admin.call("audit", "book-verify", {});
    expect(await standings()).toEqual(["ipc-01 revoked"]);
    expect(await rowsOf("witness.admitted")).toHaveLength(1);
    await admin.call("audit", "witness-add", { event: v7(), name: "ipc-01", vkey: null, url: null, reason });
    expect(await standings()).toEqual(["ipc-01 counts"]);
  });

  it("lets in by itself what a machine offers after it was revoked and readmitted", async () => {
    const { hub, begin, witness, standings, rowsOf } = await openWitnessedPlant();
    await begin();
    const one = await witness("ipc-01", hostOf(1));
    await one.offer();
    await vi.waitFor(async () => expect(await standings()).toEqual(["ipc-01 counts"]), WAIT);
    await hub.directory.devices.revoke(BY_DIRECTORY, "ipc-01");
    await vi.waitFor(async () => expect(await standings()).toEqual(["ipc-01 revoked"]), WAIT);
    await hub.directory.devices.readmit(BY_DIRECTORY, "ipc-01", null);
    await vi.waitFor(async () => expect(await rowsOf("machine.readmitted")).toHaveLength(1), WAIT);
    await one.offer();
    await vi.waitFor(async () => expect(await standings()).toEqual(["ipc-01 counts"]), WAIT);
    expect(await rowsOf("witness.admitted")).toHaveLength(2);
  });

  it("says that a quorum is missing, and that it is there again", async () => {
    const { hub, admin, begin, witness, rowsOf, cosigners } = await openWitnessedPlant();
    const audit = await begin({ quorumMs: 300, answerMs: 300 });
    const one = await witness("ipc-01", hostOf(1));
    await one.offer();
    await vi.waitFor(async () => expect(await cosigners("audit", [one.key])).toBe(1), WAIT);
    await one.close();
    await one.link.close();
    await hub.addMachine("press-09");
    await vi.waitFor(async () => expect(await rowsOf("witness.quorum-degraded")).toHaveLength(1), WAIT);
    expect(audit.witnessing.troubles.open().map(({ type }) => type)).toEqual(["witness.quorum-degraded"]);

    await admin.call("audit", "witness-remove", { event: v7(), name: "ipc-01", reason });
    await vi.waitFor(async () => expect(await rowsOf("witness.quorum-restored")).toHaveLength(1), WAIT);
    expect(audit.witnessing.troubles.open()).toEqual([]);
  });

  it("asks a witness with an address over HTTP, and tells what it refuses", async () => {
    const { hub, admin, undo, begin, rowsOf, cosigners } = await openWitnessedPlant();
    await begin();
    const office = witnessOf("office.example/w1", hub.plant);
    let refusing = false;
    const paths: string[] = [];
    const serve = async (request: IncomingMessage, response: ServerResponse) => {
      paths.push(`${request.method} ${request.url}`);
      const said = refusing ? { status: 403 as const, why: "no" } : office.answer(await text(request));
      response.writeHead(said.status).end(witnessAnswerBody(said));
    };
    const server = createServer((request, response) => void serve(request, response));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    undo.push(async () => server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/log`;
    const vkey = formatVerifierKey(office.key);
    await admin.call("audit", "witness-add", { event: v7(), name: "office", vkey, url, reason });
    await vi.waitFor(async () => expect(await cosigners("audit", [office.key])).toBe(1), WAIT);
    expect(new Set(paths)).toEqual(new Set(["POST /log/add-checkpoint"]));

    refusing = true;
    await hub.addMachine("press-01");
    await vi.waitFor(async () => expect(await rowsOf("witness.refused")).toHaveLength(1), WAIT);
    refusing = false;
    await vi.waitFor(async () => expect(await rowsOf("witness.refusal-ended")).toHaveLength(1), WAIT);
  });
});
