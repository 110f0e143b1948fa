import { Hono } from "hono";
import { describe, expect, it, onTestFinished } from "vitest";
import { createDirectoryClient } from "../../../lib/runtime/directory-client.ts";
import { startHealth } from "../../../lib/runtime/health.ts";
import { freePort } from "../../support/plain-broker.ts";
import { SILENT } from "../../support/silent.ts";

type Asked = { method: string; path: string; bearer: string | undefined; body: unknown };

/** A directory that notes what it is asked and answers what the test says. */
async function directory(answer: unknown, status: 200 | 400 | 403 = 200) {
  const asked: Asked[] = [];
  const routes = new Hono().all("/directory/*", async (context) => {
    const text = await context.req.text();
    const { method, path } = context.req;
    asked.push({
      method,
      path,
      bearer: context.req.header("authorization"),
      body: text === "" ? undefined : JSON.parse(text),
    });
    return typeof answer === "string" ? context.text(answer, status) : context.json(answer as object, status);
  });
  const server = await startHealth({ name: "directory", log: SILENT, routes });
  onTestFinished(() => server.close());
  return { client: createDirectoryClient({ url: server.url }), asked };
}

const SESSION = { token: "t", session: "s1", user: "ana", profile: "operator", expiresAt: "2026-11-24T12:00:00.000Z" };
const ANA = { name: "ana", token: "t" };

describe("the directory's client", () => {
  it("asks each path as the directory has it", async () => {
    const { client, asked } = await directory(SESSION);
    expect(await client.signIn({ user: "ana", password: "pass word", app: "rastro" })).toEqual(SESSION);
    await client.signInLocal("local key", "rastro");
    await client.signOut(ANA);
    await client.setup({ code: "c", user: "ana", password: "pass word" });
    await client.passwd(ANA, "eva", { password: "new pass word" });
    expect(asked).toEqual([
      {
        method: "POST",
        path: "/directory/sessions",
        bearer: undefined,
        body: { user: "ana", password: "pass word", app: "rastro" },
      },
      {
        method: "POST",
        path: "/directory/sessions",
        bearer: undefined,
        body: { localKey: "local key", app: "rastro" },
      },
      { method: "DELETE", path: "/directory/sessions/current", bearer: "Bearer ana:t", body: undefined },
      {
        method: "POST",
        path: "/directory/setup",
        bearer: undefined,
        body: { code: "c", user: "ana", password: "pass word" },
      },
      {
        method: "PUT",
        path: "/directory/users/eva/password",
        bearer: "Bearer ana:t",
        body: { password: "new pass word" },
      },
    ]);
  });

  it("brings back what the answer's schema says", async () => {
    const time = await directory({ now: "2026-11-24T12:00:00.000Z", plant: "plant-1" });
    expect(await time.client.time()).toEqual({ now: "2026-11-24T12:00:00.000Z", plant: "plant-1" });
    const users = await directory([]);
    expect(await users.client.userList(ANA)).toEqual([]);
    const machine = await directory({ id: "ipc-07", secret: "s" });
    expect(await machine.client.machineAdd(ANA, { id: "ipc-07" })).toEqual({ id: "ipc-07", secret: "s" });
  });

  it("throws the directory's own problem", async () => {
    const { client } = await directory({ code: "not_allowed", message: "only administrators add users" }, 403);
    await expect(client.userList(ANA)).rejects.toMatchObject({
      code: "not_allowed",
      message: "only administrators add users",
    });
  });

  it("throws a coded error for whatever else comes", async () => {
    await expect((await directory("<html>", 400)).client.time()).rejects.toMatchObject({ code: "internal" });
    await expect((await directory("<html>")).client.time()).rejects.toMatchObject({ code: "malformed" });
    await expect((await directory({ now: 1 })).client.time()).rejects.toMatchObject({ code: "schema" });
    const nobody = createDirectoryClient({ url: `http://127.0.0.1:${await freePort()}` });
    await expect(nobody.time()).rejects.toMatchObject({ code: "not_reachable" });
  });

  it("gives up after its time", async () => {
    const server = await startHealth({
      name: "directory",
      log: SILENT,
      routes: new Hono().get("/directory/time", () => new Promise(() => {})),
    });
    onTestFinished(() => server.close());
    const client = createDirectoryClient({ url: server.url, timeoutMs: 20 });
    await expect(client.time()).rejects.toMatchObject({ code: "timeout" });
  });
});
