import { PROFILES, type Profile, SERVICE_NAMES } from "../../lib/contracts/directory.ts";
import { type Rule, ruleFor } from "../../lib/contracts/permissions.ts";

/** Somebody who signs in at the broker. */
export type AclUser = { name: string; profile: Profile };

const HEADER = `# Access control list for Mosquitto (acl_file in mosquitto.conf), made by: rastro acl --format mosquitto
# Needs "allow_anonymous false", and a password for each user (password_file, or a plugin).
# Mosquitto answers every subscription with a grant and decides when it delivers; what a user may not read never arrives.
# Make it anew after each change of who is registered: rights go by name, since a pattern cannot tell profiles apart.
`;

/** Stands for a name in the blocks of profiles. */
const ANY_NAME = "NAME";

/**
 * The lines of `acl_file` (mosquitto.conf(5)) for these users: what they may publish is `write`, what they may subscribe
 * `read`, and what is never forwarded to them `deny`, which Mosquitto looks at first.
 *
 * @throws Error when the table says of a profile what the format cannot: `deny` would forbid publishing as well.
 */
export function mosquittoAcl(users: readonly AclUser[]): string {
  return [HEADER, ...users.map(({ name, profile }) => block(name, profile))].join("\n");
}

/** Without the directory: the services, whose names are fixed, and for every other profile a block to be copied. */
export function mosquittoAclByProfile(): string {
  const profiles = PROFILES.filter((profile) => profile !== "service");
  const templates = profiles.map((profile) => commented(block(ANY_NAME, profile)));
  const services = SERVICE_NAMES.map((name) => block(name, "service"));
  const advice = `# For each user one block as follows, with the user's name for ${ANY_NAME} and without the "# "; --principals does that.\n`;
  return [HEADER, ...services, advice, ...templates].join("\n");
}

function block(name: string, profile: Profile): string {
  return [`# ${profile}`, `user ${name}`, ...lines(ruleFor(profile, name), profile), ""].join("\n");
}

function lines({ publish, subscribe, hidden }: Rule, profile: Profile): string[] {
  if (hidden.length > 0 && publish.length > 0) {
    throw new Error(
      `Writing the rights of ${profile} for Mosquitto failed: it hides topics and publishes others, and deny is for both.`,
    );
  }
  return [
    ...hidden.map((filter) => `topic deny ${filter}`),
    ...publish.map((filter) => `topic write ${filter}`),
    ...subscribe.map((filter) => `topic read ${filter}`),
  ];
}

function commented(text: string): string {
  return text.replaceAll(/^(?=.)/gm, "# ");
}
