import type { Principal } from "../../lib/contracts/directory.ts";
import { RastroError } from "../../lib/contracts/errors.ts";
import type { MachineRow, Presence } from "../../lib/contracts/machine.ts";
import type { RequestOf } from "../../lib/contracts/operations.ts";
import { concluded } from "./absent-after-restart.ts";
import { CONNECTED_WITHIN } from "./contradiction.ts";
import type { Duplicates } from "./duplicates.ts";
import type { HubView } from "./hub-view.ts";
import type { Register } from "./register.ts";
import { FRESH_FOR, type SignsOfLife } from "./signs-of-life.ts";

export type MachineHandlers = {
  "machine-list": () => Promise<MachineRow[]>;
  "machine-show": (body: RequestOf<"fleet", "machine-show">) => Promise<MachineRow>;
};

/**
 * Answers which machines there are and how they do. Who exists comes from the directory, online from presence and from
 * what the hub sees, figures from the summary; what nobody said is null. A revoked machine is listed as that, so that it can be let in again.
 */
export function createMachineHandlers(o: {
  machines: () => Iterable<Principal>;
  register: Pick<Register, "presence">;
  signs: Pick<SignsOfLife, "summary" | "heardAt">;
  hub: Pick<HubView, "of" | "addresses">;
  duplicates: Pick<Duplicates, "of">;
  now: () => number;
}): MachineHandlers {
  const registered = () => [...o.machines()].filter((one) => one.kind === "machine");

  function rowOf(principal: Principal): MachineRow {
    const presence = wordOf(principal.name);
    const duplicate = o.duplicates.of(principal.name);
    const known = o.signs.summary(principal.name);
    const fresh = known !== undefined && known.heardAt !== null && o.now() - known.heardAt <= FRESH_FOR;
    return {
      id: principal.name,
      online: principal.active && (presence?.online ?? false),
      since: presence?.since ?? null,
      why: principal.active ? (presence?.why ?? null) : "revoked",
      rateHz: fresh ? known.summary.status.rateMilliHz / 1000 : null,
      waiting: known?.summary.outbox.reduce((sum, outbox) => sum + outbox.waiting, 0) ?? null,
      app: presence?.app ?? known?.summary.app ?? null,
      registeredAt: principal.registeredAt,
      credential: credentialOf(principal),
      speaksFor: principal.speaksFor,
      addresses: o.hub.addresses(principal.name),
      duplicate: duplicate && { boots: duplicate.boots, since: new Date(duplicate.since).toISOString() },
    };
  }

  /** After a restart of the hub the last word stands for five seconds more; the list does not wait for that. */
  function wordOf(machine: string): Presence | undefined {
    const presence = o.register.presence(machine);
    const seen = o.hub.of(machine);
    if (presence?.online !== true || seen?.state !== "none") return presence;
    const since = Math.max(seen.since, o.signs.heardAt(machine) ?? 0);
    return o.now() - since < CONNECTED_WITHIN ? presence : concluded(presence, "no-connection", since);
  }

  return {
    async "machine-list"() {
      return registered()
        .toSorted((a, b) => (a.name < b.name ? -1 : 1))
        .map(rowOf);
    },
    async "machine-show"({ id }) {
      const principal = registered().find((one) => one.name === id);
      if (principal !== undefined) return rowOf(principal);
      throw new RastroError({
        code: "unknown_machine",
        message: `Showing machine "${id}" failed: no machine of this id is registered; machine-list names those that are.`,
        field: "id",
        given: id,
        expected: "the id of a registered machine",
      });
    },
  };
}

function credentialOf({ credential }: Principal): MachineRow["credential"] {
  return credential === "secret" || credential === "none" ? credential : "key";
}
