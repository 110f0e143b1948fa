import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Outbox } from "../../../lib/storage/outbox/outbox.ts";
import { Store } from "../../../lib/storage/store/store.ts";
import { changeBetween } from "../../../services/fleet/presence-change.ts";
import { openRegister } from "../../../services/fleet/register.ts";
import { NOW, presence } from "./samples.ts";
import { signedOf } from "../../support/signed-of.ts";

describe("a change of presence", () => {
  const offline = presence({ online: false, why: "will" });
  it.each([
    ["the first birth", undefined, presence(), { type: "machine.online", why: "birth" }],
    ["the same birth again", presence(), presence(), null],
    [
      "a birth on another connection",
      presence(),
      presence({ connection: "c-2" }),
      { type: "machine.online", why: "birth" },
    ],
    ["a will", presence(), offline, { type: "machine.offline", why: "will" }],
    ["a will after a will", offline, offline, null],
    ["an offline of one that was never seen", undefined, offline, null],
    ["a birth after a will, on the same connection", offline, presence(), { type: "machine.online", why: "birth" }],
    ["a presence that was cleared", presence(), null, { type: "machine.offline", why: "cleared" }],
    ["a clearing of one that was away", offline, null, null],
  ])("%s", (_what, before, after, change) => {
    expect(changeBetween(before, after)).toEqual(change);
  });
});

describe("the register", () => {
  let made = 0;
  const open = async (store: Store) => {
    const outbox = await Outbox.open({
      store,
      book: "audit",
      name: "fleet",
      app: "fleet@test",
      sign: null,
      random: randomBytes,
      now: () => NOW,
    });
    const newId = () => `01938000-0000-7000-8000-${String(made++).padStart(12, "0")}`;
    const register = await openRegister({ store, outbox, newId, now: () => NOW, tz: "UTC" });
    const told = async () =>
      (await outbox.read({ from: null, maxEvents: 100, maxBytes: 1_000_000 })).map((entry) => signedOf(entry).event);
    return { register, told };
  };

  it("keeps what machines said, tells audit of who came and went, and both survive a restart", async () => {
    const folder = await mkdtemp(join(tmpdir(), "rastro-fleet-"));
    const first = await Store.openFolder(folder);
    const before = await open(first);
    await before.register.take("press-01", presence());
    await before.register.take("press-01", presence());
    await before.register.take("press-02", presence({ online: false, why: "shutdown" }));
    await first.close();

    const second = await Store.openFolder(folder);
    const { register, told } = await open(second);
    expect(register.online()).toEqual(["press-01"]);
    expect(register.presence("press-02")).toMatchObject({ online: false, why: "shutdown" });
    await register.take("press-01", presence({ online: false, why: "hub-restart" }));
    expect(await told()).toMatchObject([
      { type: "machine.online", actor: { sub: "press-01", auth: "device" }, obj: { kind: "machine", key: "press-01" } },
      {
        type: "machine.offline",
        actor: { sub: "fleet", auth: "service" },
        payload: { why: "hub-restart", connection: "c-1" },
      },
    ]);
    await second.close();
    await rm(folder, { recursive: true });
  });

  it("takes messages in their order, also when they come at once", async () => {
    const store = await Store.inMemory();
    const { register, told } = await open(store);
    await Promise.all([
      register.take("press-01", presence()),
      register.take("press-01", presence({ online: false, why: "will" })),
      register.take("press-01", presence({ connection: "c-2" })),
      register.take("press-01", null),
    ]);
    expect((await told()).map((event) => event.type)).toEqual([
      "machine.online",
      "machine.offline",
      "machine.online",
      "machine.offline",
    ]);
    expect(register.presence("press-01")).toBeUndefined();
    await store.close();
  });
});
