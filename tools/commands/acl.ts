import type { Groups } from "./groups.ts";
import type { AclOptions } from "./acl-run.ts";

/** `acl`. */
export function addAclCommand({ program, act, terminal }: Groups): void {
  const acl = program
    .command("acl")
    .description("print the rights of every profile for another broker, so that it enforces the same table")
    .requiredOption("--format <format>", "mosquitto")
    .option("--principals", "for everybody in the directory, by name; administrators only")
    .addHelpText(
      "after",
      `\nExamples:
  rastro acl --format mosquitto                                          the services, and a block for each profile
  rastro acl --format mosquitto --principals > /etc/mosquitto/rastro.acl   then: systemctl reload mosquitto

In mosquitto.conf: allow_anonymous false, acl_file with this file, and a password_file (mosquitto_passwd) or a plugin.`,
    );
  act(acl, async (options: AclOptions) => (await import("./acl-run.ts")).runAcl(terminal, options));
}
