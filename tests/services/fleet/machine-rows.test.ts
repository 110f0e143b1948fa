import { describe, expect, it } from "vitest";
import { MachineRow } from "../../../lib/contracts/machine.ts";
import { createMachineHandlers } from "../../../services/fleet/machine-rows.ts";
import { createHubView } from "../../../services/fleet/hub-view.ts";
import { createSignsOfLife } from "../../../services/fleet/signs-of-life.ts";
import { principal } from "../../support/principals.ts";
import { NOW, presence, summary } from "./samples.ts";

function setUp() {
  const clock = { now: NOW };
  const signs = createSignsOfLife(() => clock.now);
  const hub = createHubView(() => clock.now);
  const duplicates = new Map([["press-02", { boots: ["b-1", "b-2"], since: NOW }]]);
  const present = new Map([
    ["press-01", presence()],
    // Said before it was revoked, and not corrected yet.
    ["press-09", presence()],
  ]);
  const machines = [
    principal("press-02", "machine", { speaksFor: ["oven-1"] }),
    principal("press-01", "machine", { credential: "key" }),
    principal("press-03", "machine", { credential: "none" }),
    principal("press-09", "machine", { active: false }),
    principal("maria", "operator"),
    principal("audit", "service"),
  ];
  const handlers = createMachineHandlers({
    machines: () => machines,
    register: { presence: (machine) => present.get(machine) },
    signs,
    hub,
    duplicates: { of: (machine) => duplicates.get(machine) ?? null },
    now: () => clock.now,
  });
  return { handlers, signs, hub, clock };
}

describe("the rows of machines", () => {
  it("are those that are registered, by name, with what is known of each", async () => {
    const { handlers, signs } = setUp();
    signs.heard("press-01", summary(), false);
    const rows = await handlers["machine-list"]();
    expect(rows.map((row) => MachineRow.parse(row))).toEqual([
      {
        id: "press-01",
        online: true,
        since: "2026-11-24T11:00:00.000Z",
        why: "birth",
        rateHz: 999.812,
        waiting: 5,
        app: "edge-agent@test",
        registeredAt: "2026-11-24T05:44:05.000Z",
        credential: "key",
        speaksFor: ["press-01"],
        addresses: [],
        duplicate: null,
      },
      expect.objectContaining({
        id: "press-02",
        online: false,
        since: null,
        why: null,
        rateHz: null,
        waiting: null,
        app: null,
        credential: "secret",
        speaksFor: ["oven-1"],
        duplicate: { boots: ["b-1", "b-2"], since: "2026-11-24T12:00:00.000Z" },
      }),
      expect.objectContaining({ id: "press-03", credential: "none" }),
      expect.objectContaining({ id: "press-09", online: false, why: "revoked" }),
    ]);
  });

  it("give a rate only while it is fresh, and never one from the hub's memory", async () => {
    const { handlers, signs, clock } = setUp();
    const row = () => handlers["machine-show"]({ id: "press-02" });
    signs.heard("press-02", summary(), true);
    expect(await row()).toMatchObject({ rateHz: null, waiting: 5, app: "edge-agent@summary", online: false });
    signs.heard("press-02", summary({ rateMilliHz: 0 }), false);
    expect((await row()).rateHz).toBe(0);
    clock.now += 5000;
    expect((await row()).rateHz).toBe(0);
    clock.now += 1;
    expect((await row()).rateHz).toBeNull();
  });

  it("call a machine offline that the hub has had no connection with for a second, whatever its last word is", async () => {
    const { handlers, signs, hub, clock } = setUp();
    const row = () => handlers["machine-show"]({ id: "press-01" });
    hub.take({ v: 1, machines: {} });
    clock.now += 999;
    expect(await row()).toMatchObject({ online: true, why: "birth" });
    clock.now += 1;
    expect(await row()).toMatchObject({ online: false, why: "no-connection", since: "2026-11-24T12:00:00.000Z" });
    // A birth may be here before the hub says over what it came.
    signs.heard("press-01", null, false);
    expect(await row()).toMatchObject({ online: true });
    const addresses = ["10.0.0.7"];
    hub.take({ v: 1, machines: { "press-01": { connections: 2, addresses, quiet: false } } });
    clock.now += 60_000;
    expect(await row()).toMatchObject({ online: true, addresses });
    hub.forget();
    expect(await row()).toMatchObject({ online: true, addresses: [] });
  });

  it("do not exist for a machine that is not registered", async () => {
    const { handlers } = setUp();
    for (const id of ["press-77", "press-77", "maria"]) {
      await expect(handlers["machine-show"]({ id })).rejects.toMatchObject({
        code: "unknown_machine",
        problem: { given: id },
      });
    }
  });
});
