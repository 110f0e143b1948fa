import { createServer } from "node:net";
import { Aedes } from "aedes";

/* Aedes as it comes, in memory: a process of its own to compare with. */

const aedes = await Aedes.createBroker();
const server = createServer({ noDelay: true }, (socket) => {
  aedes.handle(socket);
});
server.listen(Number(process.env["BENCH_PORT"]), "127.0.0.1", () => process.send?.({ ready: true }));
process.once("SIGTERM", () => process.exit(0));
