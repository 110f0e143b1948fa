import { randomBytes } from "node:crypto";
import { askProcesses } from "../../console/readiness.ts";
import { RastroError, toProblem } from "../../lib/contracts/errors.ts";
import { listRunFiles } from "../../lib/runtime/run-files.ts";
import { readSettings, type Settings } from "../../lib/runtime/settings.ts";
import { withHub } from "../client/session.ts";
import { findHub } from "../client/hub.ts";
import { checkAbilities } from "./abilities.ts";
import { checkHubClock, checkTimeService } from "./clock.ts";
import { checkDataFolder } from "./data-folder.ts";
import { fail, type Finding, warn } from "./finding.ts";
import { checkPorts } from "./ports.ts";
import { PROBE_TIMEOUT_MS } from "./probe.ts";
import { checkProcesses } from "./processes.ts";
import { checkVersions, ownVersion } from "./versions.ts";

export type ExamineOptions = {
  env: NodeJS.ProcessEnv;
  /** Folder of the project. */
  root: string;
  now: () => number;
  clock: () => number;
};

/** Looks at everything, in the order in which it is told. Nothing that is wrong ends it early. */
export async function examine(o: ExamineOptions): Promise<Finding[]> {
  const versions = await guarded("versions", () => checkVersions({ root: o.root, node: process.version }));
  const settings = settingsOf(o.env);
  if ("check" in settings) return [...versions, settings];
  const readiness = await askProcesses({ runFiles: () => listRunFiles(settings.data), fetch: globalThis.fetch });
  const consoles = listRunFiles(settings.data).filter(({ name }) => name === "console");
  const answering = readiness.processes.filter((state) => state.ready || state.checks !== undefined);
  const runs = new Set(answering.map(({ name }) => name));
  for (const { url } of consoles) if (await answers(url)) runs.add("console");
  return [
    ...versions,
    ...(await guarded("ports", () => checkPorts({ settings, runs }))),
    ...(await guarded("data", () => checkDataFolder({ data: settings.data, platform: process.platform }))),
    ...(await guarded("clock", async () => [await checkTimeService()])),
    ...checkProcesses(readiness, runs),
    ...(await examineHub(o, settings, runs)),
  ];
}

function settingsOf(env: NodeJS.ProcessEnv): Settings | Finding {
  try {
    return readSettings(env);
  } catch (error) {
    if (!(error instanceof RastroError)) throw error;
    return fail("settings", error.message, "mend the variable that it names");
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(new URL("/healthz", url), { signal: AbortSignal.timeout(1000) })).ok;
  } catch {
    return false;
  }
}

/** What only a running hub can say. With another hub than this computer's it is asked as well. */
async function examineHub(o: ExamineOptions, settings: Settings, runs: ReadonlySet<string>): Promise<Finding[]> {
  const elsewhere = Boolean(o.env["RASTRO_URL"]) || settings.externalBroker;
  if (!runs.has("broker") && !elsewhere) {
    return [warn("broker", "what the broker can do was not tried, since the hub does not run", "start it: npm start")];
  }
  const { directory } = findHub(o.env);
  const clock = await guarded("clock", async () => [
    await checkHubClock({ askHub: () => directory.time(), now: o.now }),
  ]);
  return [...clock, ...(await tryBroker(o, settings))];
}

async function tryBroker(o: ExamineOptions, settings: Settings): Promise<Finding[]> {
  try {
    const version = await ownVersion(o.root);
    const id = randomBytes(4).toString("hex");
    return await withHub(o.env, ({ session }) =>
      checkAbilities({ ...o, url: settings.brokerUrl, session, version, id, timeoutMs: PROBE_TIMEOUT_MS }),
    );
  } catch (error) {
    const { code, message } = toProblem(error);
    if (code === "not_allowed")
      return [warn("broker", "what the broker can do was not tried: nobody is signed in", "rastro login")];
    const says = code === "internal" ? `asking the broker failed: ${String(error)}` : message;
    return [
      fail("broker", says, "look into the output of npm start, and whether RASTRO_BROKER_URL and the ports are right"),
    ];
  }
}

/** A check that cannot be made is a finding like any other. */
async function guarded(check: string, work: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await work();
  } catch (error) {
    const says = error instanceof Error ? error.message : String(error);
    return [fail(check, `looking failed: ${says}`, "see what it says")];
  }
}
