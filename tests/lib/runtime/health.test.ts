import { request } from "node:http";
import { Hono } from "hono";
import { describe, expect, it, onTestFinished } from "vitest";
import { type Health, startHealth } from "../../../lib/runtime/health.ts";
import { recordLog } from "../../support/log-lines.ts";
import { SILENT } from "../../support/silent.ts";

async function start(options: Partial<Parameters<typeof startHealth>[0]> = {}): Promise<Health> {
  const health = await startHealth({ name: "audit", log: SILENT, ...options });
  onTestFinished(() => health.close());
  return health;
}

const get = async (health: Health, path: string) => {
  const response = await fetch(health.url + path);
  return { status: response.status, body: await response.json() };
};

function statusFor(health: Health, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request(`${health.url}/healthz`, { headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    asked.on("error", reject).end();
  });
}

describe("the health server", () => {
  it("says that the process runs and whether it is ready", async () => {
    const health = await start();
    expect(health.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(await get(health, "/healthz")).toEqual({ status: 200, body: { ok: true, name: "audit" } });
    let connected: true | string = "not connected";
    health.check("link", () => connected);
    health.check("store", () => true);
    expect(await get(health, "/readyz")).toEqual({
      status: 503,
      body: { ready: false, name: "audit", checks: { link: "not connected", store: true }, alarms: [] },
    });
    connected = true;
    expect(await get(health, "/readyz")).toMatchObject({ status: 200, body: { ready: true } });
  });

  it("is not ready when a check fails itself", async () => {
    const health = await start();
    health.check("store", () => {
      throw new Error("closed");
    });
    expect((await get(health, "/readyz")).status).toBe(503);
    expect(health.readiness().checks["store"]).toContain("closed");
  });

  it("takes routes at any time", async () => {
    const routes = new Hono().get("/first", (context) => context.json(1));
    const health = await start({ routes });
    expect(await get(health, "/first")).toEqual({ status: 200, body: 1 });
    health.mount(new Hono().get("/second", (context) => context.json({ code: "unknown_name" }, 404)));
    expect(await get(health, "/second")).toEqual({ status: 404, body: { code: "unknown_name" } });
    expect(await get(health, "/first")).toEqual({ status: 200, body: 1 });
  });

  it("answers a fault without telling it, and logs it", async () => {
    const { log, lines } = recordLog();
    const routes = new Hono().get("/fault", () => {
      throw new Error("an internal matter");
    });
    const health = await start({ routes, log });
    const { status, body } = await get(health, "/fault");
    expect(status).toBe(500);
    expect(JSON.stringify(body)).not.toContain("matter");
    expect(JSON.stringify(lines)).toContain("an internal matter");
  });

  it("answers only to loopback's own names", async () => {
    const health = await start();
    expect(await statusFor(health, "localhost:1")).toBe(200);
    expect(await statusFor(health, "[::1]")).toBe(200);
    expect(await statusFor(health, "rebound.example")).toBe(403);
    expect(await statusFor(health, "127.0.0.1.example")).toBe(403);
  });

  it("says which port is taken and which setting to change", async () => {
    const port = Number(new URL((await start()).url).port);
    await expect(start({ port })).rejects.toMatchObject({
      code: "port_taken",
      message: expect.stringMatching(new RegExp(`127.0.0.1:${port}.*RASTRO_HEALTH_PORT`)),
    });
  });
});
