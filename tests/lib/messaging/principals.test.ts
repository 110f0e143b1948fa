import { describe, expect, it } from "vitest";
import type { Principal } from "../../../lib/contracts/directory.ts";
import { canonicalText } from "../../../lib/ledger/canonical.ts";
import { sign } from "../../../lib/ledger/signature.ts";
import { followPrincipals } from "../../../lib/messaging/principals.ts";
import { createKey, type KeyPair } from "../../../lib/runtime/keys.ts";
import { recordLog } from "../../support/log-lines.ts";
import { PLAIN_BROKERS } from "../../support/plain-broker.ts";
import { principal } from "../../support/principals.ts";
import { connect } from "./open.ts";
import { fakeLink, fakeTimers, settled } from "./fake-link.ts";

const directory = createKey();

function signed(subject: Principal, key: KeyPair = directory) {
  const body = canonicalText(subject);
  return { body, sig: sign(key.privateKey, Buffer.from(body)) };
}

function follow() {
  const link = fakeLink("production");
  const timers = fakeTimers();
  const { log, lines } = recordLog();
  const principals = followPrincipals({ link, directoryKey: directory.publicRaw, log, after: timers.after });
  const announce = (name: string, message: unknown) => link.deliver(`directory/principals/${name}`, message);
  return { link, timers, lines, principals, announce };
}

describe.each(PLAIN_BROKERS)("principals over $name", ({ start }) => {
  it("are there once the retained ones have come in, and follow changes", async () => {
    const { url } = await start();
    const link = await connect(url, "directory");
    const announce = (subject: Principal) =>
      link.publish(`directory/principals/${subject.name}`, JSON.stringify(signed(subject)), { qos: 1, retain: true });
    for (let index = 1; index <= 50; index += 1) await announce(principal(`ipc-${index}`, "machine"));
    const { log } = recordLog();
    const service = await connect(url, "production");
    const principals = followPrincipals({ link: service, directoryKey: directory.publicRaw, log });
    await principals.whenLoaded();
    expect(principals.all()).toHaveLength(50);
    const changed = new Promise<string>((resolve) => principals.onChange((name) => resolve(name)));
    await announce(principal("ipc-7", "machine", { active: false }));
    expect(await changed).toBe("ipc-7");
    expect(principals.byName("ipc-7")?.active).toBe(false);
  });
});

describe("principals", () => {
  it("are found by name and by sub, and forgotten when they are no longer announced", async () => {
    const { link, principals, announce } = follow();
    const ana = principal("ana", "operator");
    announce("ana", signed(ana));
    expect(principals.byName("ana")).toEqual(ana);
    expect(principals.bySub(ana.sub)).toEqual(ana);
    const changes: unknown[] = [];
    principals.onChange((name, now) => changes.push([name, now]));
    link.deliverRaw("directory/principals/ana", Buffer.alloc(0));
    expect(principals.byName("ana")).toBeUndefined();
    expect(principals.bySub(ana.sub)).toBeUndefined();
    expect(changes).toEqual([["ana", null]]);
  });

  it("are not taken when somebody else signed them, under another name, or when they do not parse", () => {
    const { principals, announce, lines } = follow();
    announce("ana", signed(principal("ana", "administrator"), createKey()));
    announce("ana", signed(principal("eva", "administrator")));
    announce("ana", {
      ...signed(principal("ana", "operator")),
      body: canonicalText(principal("ana", "administrator")),
    });
    announce("ana", { body: "{}" });
    announce("ana", "nonsense");
    expect(principals.all()).toEqual([]);
    expect(lines.map((line) => line["code"])).toEqual([
      "bad_signature",
      "bad_signature",
      "bad_signature",
      "schema",
      "schema",
    ]);
  });

  it("count as loaded when none has followed for a moment", async () => {
    const { principals, announce, timers } = follow();
    let loaded = false;
    void principals.whenLoaded().then(() => (loaded = true));
    await settled();
    expect(timers.pending()).toEqual([]);
    announce("ana", signed(principal("ana", "operator")));
    announce("eva", signed(principal("eva", "operator")));
    expect(timers.pending()).toEqual([150]);
    expect(loaded).toBe(false);
    timers.next();
    await settled();
    expect(loaded).toBe(true);
  });
});
