#!/usr/bin/env node
import module from "node:module";
import { fileURLToPath } from "node:url";

// Most of a command's time goes into loading modules; compiled code of an earlier run halves it.
module.enableCompileCache(fileURLToPath(new URL("../node_modules/.cache/node-compile", import.meta.url)));

const { runCli } = await import("./commands/program.ts");
const { env, stdin, stdout, stderr } = process;
process.exitCode = await runCli(process.argv.slice(2), { env, stdin, stdout, stderr });
