import type { Issuer } from "../../../lib/contracts/commands.ts";
import { RastroError } from "../../../lib/contracts/errors.ts";

/**
 * Refuses who names no person where two persons are asked for: the hub's local key may be in anybody's hands, so that
 * one who has both it and a login of their own could be both.
 *
 * @throws RastroError `second_person`.
 */
export function requireNamedPerson(who: Issuer, name: string): void {
  if (who.auth !== "local") return;
  throw new RastroError({
    code: "second_person",
    message: `Asking for ${name} failed: it takes two persons who signed in by name, and the hub's local key names none; use rastro login.`,
  });
}

/**
 * Refuses whoever asked for it themselves as the one to agree.
 *
 * @throws RastroError `second_person`.
 */
export function requireSecondPerson(approver: Issuer, issuer: Issuer, name: string): void {
  requireNamedPerson(approver, name);
  if (approver.sub !== issuer.sub) return;
  throw new RastroError({
    code: "second_person",
    message: `Approving ${name} failed: who asked for it cannot be the second person; another supervisor, coordinator or administrator has to agree.`,
  });
}
