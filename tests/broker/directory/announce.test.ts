import { expect, it, onTestFinished } from "vitest";
import { LOCAL_ADMIN } from "../../../lib/contracts/directory.ts";
import { receiveEvents } from "../../../lib/messaging/event-receiver.ts";
import { followPrincipals } from "../../../lib/messaging/principals.ts";
import { startTestHub } from "../../support/hub.ts";
import { SILENT } from "../../support/silent.ts";

async function start() {
  const hub = await startTestHub();
  onTestFinished(() => hub.close());
  const audit = await hub.addService("audit");
  const link = await hub.link("audit", audit.password);
  return { hub, link };
}

it("services learn everybody who is registered, and whoever comes later", async () => {
  const { hub, link } = await start();
  await hub.addPerson("maria", "operator");
  const principals = followPrincipals({ link, directoryKey: hub.directoryKey, log: SILENT });
  const joaoCame = new Promise<void>((resolve) => {
    principals.onChange((name) => {
      if (name === "joao") resolve();
    });
  });
  await principals.whenLoaded();
  const known = principals.all().map(({ name }) => name);
  expect(known.toSorted()).toEqual(["audit", "directory", LOCAL_ADMIN, "maria"]);
  await hub.addPerson("joao", "supervisor");
  await joaoCame;
  expect(principals.byName("joao")).toEqual(hub.directory.register.principal("joao"));
});

it("the audit book is told of a change, and its receipt frees the directory's outbox", async () => {
  const { hub, link } = await start();
  const { promise: told, resolve: tell } = Promise.withResolvers<{ id: string; text: string }>();
  await receiveEvents({
    link,
    book: "audit",
    log: SILENT,
    onRefused: () => undefined,
    receive: async (from, batch) => {
      expect(from).toBe("directory");
      const signed = batch.events as { event: { id: string; type: string } }[];
      const added = signed.find(({ event }) => event.type === "user.added");
      if (added !== undefined) tell({ id: added.event.id, text: JSON.stringify(added) });
      return { v: 1, epoch: batch.epoch, receipts: signed.map(({ event }, seq) => receipt(event.id, seq)) };
    },
  });
  const { sub } = await hub.addPerson("maria", "operator");
  const { id, text } = await told;
  expect(text).toContain(sub);
  expect(text).not.toContain("maria");
  await expect.poll(() => hub.directory.outbox.receiptOf(id)).toMatchObject({ id, status: "booked" });
});

function receipt(id: string, seq: number) {
  return { id, status: "booked" as const, book: "audit" as const, seq, leaf: "0".repeat(64) };
}
