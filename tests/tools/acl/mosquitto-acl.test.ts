import { describe, expect, it } from "vitest";
import { PROFILES } from "../../../lib/contracts/directory.ts";
import { mosquittoAcl, mosquittoAclByProfile } from "../../../tools/acl/mosquitto-acl.ts";
import { rastro } from "../commands/cli.ts";

const LINE = /^(?:#.*|user [a-z0-9-]{1,63}|topic (?:deny|read|write) [^ ]+|)$/;

describe("an access control list for Mosquitto", () => {
  it("has a block for each user, what is hidden first", () => {
    const text = mosquittoAcl([
      { name: "maria", profile: "operator" },
      { name: "ines", profile: "inspector" },
    ]);
    expect(text).toContain(
      "user maria\ntopic write requests/maria/+/+/+/+\ntopic read responses/maria/#\ntopic read machines/+/status\n",
    );
    expect(text).toMatch(/user ines\n(?:topic deny \S+\n)+topic read #\ntopic read \$SYS\/#\n/);
    expect(text).not.toMatch(/%u|^pattern/m);
  });

  it("says nothing to those who do not sign in: no line stands before the first user", () => {
    const [before = ""] = mosquittoAcl([{ name: "maria", profile: "operator" }]).split("user ");
    expect(before.split("\n").filter((line) => line !== "" && !line.startsWith("#"))).toEqual([]);
  });

  it("is made of lines that Mosquitto knows", () => {
    for (const line of mosquittoAclByProfile().split("\n")) expect(line).toMatch(LINE);
  });
});

describe("rastro acl", () => {
  it("without a hub: the services, and a commented block for each profile", async () => {
    const { exit, stdout } = await rastro(["acl", "--format", "mosquitto"], { RASTRO_DATA: "/nonexistent" });
    expect(exit).toBe(0);
    expect(stdout).toContain("\nuser production\n");
    expect(stdout).not.toMatch(/^user NAME/m);
    for (const profile of PROFILES.filter((one) => one !== "service")) {
      expect(stdout).toContain(`# # ${profile}\n# user NAME\n`);
    }
  });

  it("of another broker: 2", async () => {
    const done = await rastro(["acl", "--format", "emqx"], {});
    expect(done).toMatchObject({ exit: 2, stderr: expect.stringContaining('--format is "emqx"; expected: mosquitto') });
  });
});
