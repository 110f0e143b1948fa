import { describe, expect, it } from "vitest";
import { readyBlock } from "../../../tools/stack/ready-block.ts";
import { troublesOf } from "../../../tools/stack/troubles.ts";

const FACTS = {
  consoleUrl: "http://127.0.0.1:8080",
  mqttUrl: "mqtt://127.0.0.1:1883",
  mqttsUrl: "mqtts://127.0.0.1:8883",
  wsUrl: "ws://127.0.0.1:8083",
  dataFolder: "/srv/rastro",
  machine: "ipc-07",
  setupCode: null,
  adminCreated: false,
  tookMs: 2345,
  troubles: [],
};

describe("the ready block", () => {
  it("says that it is ready, and where", () => {
    const block = readyBlock(FACTS);
    expect(block).toContain("Rastro is ready after 2.3 s.");
    for (const fact of [FACTS.consoleUrl, FACTS.mqttUrl, FACTS.mqttsUrl, FACTS.wsUrl, FACTS.dataFolder, FACTS.machine])
      expect(block).toContain(fact);
  });

  it("shows the one-time code while there is no administrator", () => {
    expect(readyBlock({ ...FACTS, setupCode: "abcde-fghij" })).toContain("setup --code abcde-fghij");
    expect(readyBlock({ ...FACTS, adminCreated: true })).not.toContain("setup --code");
  });

  it("does not say ready when a process says that something is wrong", () => {
    const troubles = troublesOf({
      ready: false,
      processes: [
        { name: "audit", ready: false, checks: { hub: true, book: "the book takes no records: truncated" } },
        { name: "broker", ready: true, checks: { hub: true } },
        { name: "fleet", ready: false, why: "it does not answer" },
      ],
    });
    expect(troubles).toEqual(["audit, book: the book takes no records: truncated", "fleet: it does not answer"]);
    const block = readyBlock({ ...FACTS, troubles });
    expect(block).toContain("Rastro is up after 2.3 s, but not all of it works.");
    expect(block).toContain("NOT RIGHT  audit, book: the book takes no records: truncated");
    expect(block).not.toContain("is ready");
  });
});
