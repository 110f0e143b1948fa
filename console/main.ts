import { runProcess } from "../lib/runtime/process.ts";
import { listRunFiles } from "../lib/runtime/run-files.ts";
import { listen } from "./listen.ts";
import { createConsole } from "./server.ts";

await runProcess("console", async ({ settings, log, onStop }) => {
  const app = createConsole({ runFiles: () => listRunFiles(settings.data), fetch });
  const mqtt = { hub: { host: settings.host, port: settings.wsPort }, log };
  const server = await listen(app, { host: settings.host, port: settings.httpPort, mqtt });
  onStop(() => server.close());
  log.info({ host: settings.host, port: server.port }, "the console listens");
});
