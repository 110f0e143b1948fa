import { randomBytes } from "node:crypto";
import { runProcess } from "../lib/runtime/process.ts";
import { listRunFiles } from "../lib/runtime/run-files.ts";
import { loadOrCreateSecret } from "../lib/runtime/secret-file.ts";
import { reachable } from "../lib/runtime/settings.ts";
import { listen } from "./listen.ts";
import { createConsole } from "./server.ts";

await runProcess("console", async ({ settings, folders, log, health, onStop }) => {
  const forwarder = await loadOrCreateSecret(folders.consoleForwarding, randomBytes);
  const app = createConsole({ runFiles: () => listRunFiles(settings.data), forwarder, metrics: health.metrics, fetch });
  const mqtt = { hub: { host: reachable(settings.host), port: settings.wsPort }, forwarder, log };
  const server = await listen(app, { host: settings.host, port: settings.httpPort, mqtt });
  onStop(() => server.close());
  log.info({ host: settings.host, port: server.port }, "the console listens");
});
