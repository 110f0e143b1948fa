import { RastroError } from "../../../lib/contracts/errors.ts";
import { runProcess } from "../../../lib/runtime/process.ts";

/** What `process.test.ts` runs as a process of its own; the first argument says how it behaves. */
const behaviour = process.argv[2] ?? "steady";

await runProcess("program", async ({ log, onStop }) => {
  onStop(() => log.info("closed first, added first"));
  onStop(async () => {
    await Promise.resolve();
    log.info("closed last, added last");
  });
  if (behaviour === "taken")
    throw new RastroError({ code: "port_taken", message: "Listening on 1883 failed: stop the other program." });
  if (behaviour === "unreachable") throw new RastroError({ code: "not_reachable", message: "Nothing answers." });
  if (behaviour === "broken") throw new Error("broken");
  if (behaviour === "never") {
    log.info("starting for ever");
    await new Promise(() => {});
  }
  if (behaviour === "failing-hook") onStop(() => Promise.reject(new Error("the hook fails")));
  if (behaviour === "hanging-hook") onStop(() => new Promise(() => {}));
  if (behaviour === "throws-later") setImmediate(() => setImmediate(() => raise(new Error("later"))));
  if (behaviour === "rejects-later") setImmediate(() => void Promise.reject(new Error("later")));
});

function raise(error: Error): never {
  throw error;
}
