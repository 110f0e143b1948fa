import type { Context, Hono } from "hono";
import { BackupRequest, BackupVerifyRequest } from "../../lib/contracts/directory.ts";
import { RastroError } from "../../lib/contracts/errors.ts";
import { parseJson } from "../../lib/contracts/parse.ts";
import type { Backups } from "../../lib/storage/backup/backups.ts";
import type { By } from "./drafts.ts";

/**
 * Adds the backups of the hub's own stores to the directory's HTTP interface (paths and bodies in
 * contracts/directory.ts).
 *
 * @param o.backups - null where the stores lie in memory.
 * @param o.administrator - who asks. Throws when it is no administrator.
 */
export function addBackupRoutes(
  app: Hono,
  o: { backups: Backups | null; administrator: (context: Context, action: string) => Promise<By> },
): void {
  const backups = () => o.backups ?? noBackups();

  app.get("/directory/backups", async (context) => {
    await o.administrator(context, "listing backups");
    return context.json(await backups().list());
  });

  app.post("/directory/backups", async (context) => {
    const by = await o.administrator(context, "backing up");
    const { store } = parseJson(BackupRequest, await context.req.text(), "the body of a backup");
    return context.json(await backups().create(store, "request", by), 201);
  });

  app.post("/directory/backups/verify", async (context) => {
    await o.administrator(context, "verifying a backup");
    const { store, name } = parseJson(BackupVerifyRequest, await context.req.text(), "the body of a verification");
    return context.json(await backups().verify(store, name));
  });
}

function noBackups(): never {
  throw new RastroError({ code: "not_allowed", message: "Backing up failed: this hub keeps its stores in memory." });
}
