#!/usr/bin/env node
import { runVerifier } from "./program.ts";

const { stdout, stderr } = process;
process.exitCode = await runVerifier(process.argv.slice(2), { stdout, stderr });
