import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Hono } from "hono";
import { expect, test } from "vitest";
import { listenForStation } from "../../../edge-agent/station/listen.ts";
import { SILENT } from "../../support/silent.ts";
import { fakeTiming } from "../support/fake-timing.ts";

test("a port that another program has is an alarm, and taken as soon as it is free", async () => {
  const other = createServer();
  other.listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  const routes = new Hono();
  routes.get("/station/waiting", (context) => context.text("here"));
  const timing = fakeTiming();
  const station = await listenForStation({ port, routes, every: timing.every, log: SILENT });
  expect(station.url()).toBeNull();
  expect(station.alarms()).toEqual([expect.stringContaining(`127.0.0.1:${port}`)]);

  other.close();
  await once(other, "close");
  timing.advance(10_000);
  await expect.poll(() => station.url(), { timeout: 10_000 }).toBe(`http://127.0.0.1:${port}`);
  expect(station.alarms()).toEqual([]);
  expect(await (await fetch(`http://127.0.0.1:${port}/station/waiting`)).text()).toBe("here");
  await station.close();
});
