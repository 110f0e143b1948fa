import module from "node:module";
import { fileURLToPath } from "node:url";

const begunAt = Date.now() - process.uptime() * 1000;
// Most of a start goes into loading modules; compiled code of an earlier run shortens it. The children share it.
module.enableCompileCache(fileURLToPath(new URL("../node_modules/.cache/node-compile", import.meta.url)));

const { runStack } = await import("./stack/run.ts");
const root = fileURLToPath(new URL("..", import.meta.url));
process.exit(await runStack({ root, process, now: Date.now, begunAt }));
