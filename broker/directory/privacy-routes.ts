import type { Context, Hono } from "hono";
import type { z } from "zod";
import { RastroError } from "../../lib/contracts/errors.ts";
import { parseJson } from "../../lib/contracts/parse.ts";
import { type Erased, EraseRequest, type PersonData } from "../../lib/contracts/privacy.ts";
import { administrator, type Caller, refuseSelf } from "./caller.ts";
import type { Directory } from "./directory.ts";
import type { OpenSessions } from "./open-sessions.ts";
import type { ErasedRecord, PersonRecord } from "./records.ts";

/** Adds seeing and erasing what is kept of a person to the directory's HTTP interface (contracts/privacy.ts). */
export function addPrivacyRoutes(
  app: Hono,
  o: {
    directory: Pick<Directory, "register" | "people" | "erase">;
    openSessions: Pick<OpenSessions, "list">;
    caller: (context: Context) => Promise<Caller>;
  },
): void {
  const { directory, openSessions, caller } = o;

  app.get("/directory/people/:who/data", async (context) => {
    const asking = await caller(context);
    const record = personOf(directory, context.req.param("who"));
    if (record.sub !== asking.principal.sub) administrator(asking, "seeing what is kept of somebody else");
    const kept = await directory.people.show(asking.by, record.sub);
    const sessions = kept.name === null ? [] : openSessions.list(asking, kept.name);
    const data: PersonData = { ...kept, sessions };
    return context.json(data);
  });

  app.post("/directory/people/:who/erase", async (context) => {
    const asking = administrator(await caller(context), "erasing a person");
    const why = parseJson(EraseRequest, await context.req.text(), "the body of an erasure");
    const { name, sub } = personOf(directory, context.req.param("who"));
    refuseSelf(asking, name, "erasing oneself");
    const { id, at } = await directory.erase(asking.by, sub, why);
    const erased: z.infer<typeof Erased> = { sub, erasure: id, at };
    return context.json(erased);
  });
}

/** A person by name or random id, erased or not. @throws RastroError `unknown_name`. */
function personOf({ register }: Pick<Directory, "register">, who: string): PersonRecord | ErasedRecord {
  const record = register.get(who) ?? register.bySub(who);
  if (record?.kind === "person" || record?.kind === "erased") return record;
  throw new RastroError({
    code: "unknown_name",
    message: `Looking up person ${who} failed: nobody of this name is registered; who was erased is known by the random id alone.`,
    field: "person",
    given: who,
    expected: "the name of a person, or a random id such as p-0123…",
  });
}
