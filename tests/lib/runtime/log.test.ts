import { describe, expect, it } from "vitest";
import { createLog } from "../../../lib/runtime/log.ts";

describe("the log", () => {
  it("writes one JSON object a line with name, level and time, and hides secrets", () => {
    const lines: string[] = [];
    const log = createLog("audit", { logLevel: "info" }, { write: (line: string) => void lines.push(line) });
    log.debug("too fine");
    log.info(
      { password: "s3cret", request: { token: "s3cret", headers: { authorization: "s3cret" } }, machine: "ipc-07" },
      "signed in",
    );
    log.info({ key: "s3cret", user: { secret: "s3cret", localKey: "s3cret" } }, "again");
    expect(lines).toHaveLength(2);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({
      name: "audit",
      level: "info",
      machine: "ipc-07",
      msg: "signed in",
      password: "[hidden]",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    });
    expect(lines.join("")).not.toContain("s3cret");
  });
});
