import { RastroError } from "../../lib/contracts/errors.ts";
import type { Settings } from "../../lib/runtime/settings.ts";
import { checkPort, type WantedPort } from "../stack/ports.ts";
import { fail, type Finding, ok, warn } from "./finding.ts";

/**
 * Looks whether the ports of the settings are free, or ours.
 *
 * @param o.runs - names of the processes of this data folder that answer.
 */
export async function checkPorts(o: { settings: Settings; runs: ReadonlySet<string> }): Promise<Finding[]> {
  const { host, mqttPort, mqttsPort, wsPort, httpPort } = o.settings;
  const wanted = [
    { port: mqttPort, variable: "RASTRO_MQTT_PORT", use: "MQTT", by: "broker" },
    { port: mqttsPort, variable: "RASTRO_MQTTS_PORT", use: "MQTT over TLS", by: "broker" },
    { port: wsPort, variable: "RASTRO_WS_PORT", use: "MQTT over WebSocket", by: "broker" },
    { port: httpPort, variable: "RASTRO_HTTP_PORT", use: "the console", by: "console" },
  ];
  return Promise.all(wanted.map(async (one) => judge(one, o.runs.has(one.by), await whyNot(host, one))));
}

/** Why a port cannot be opened; null when it can. */
async function whyNot(host: string, wanted: WantedPort): Promise<RastroError | null> {
  try {
    await checkPort(host, wanted);
    return null;
  } catch (error) {
    if (error instanceof RastroError) return error;
    throw error;
  }
}

function judge(wanted: WantedPort & { by: string }, runs: boolean, trouble: RastroError | null): Finding {
  const { port, variable, use, by } = wanted;
  const what = `port ${port} for ${use}`;
  if (port === 0) return ok("ports", `any free port is taken for ${use}`);
  if (trouble === null && !runs) return ok("ports", `${what} is free`);
  if (trouble === null) {
    const todo = `give this command the ${variable} of the running stack`;
    return warn("ports", `${by} runs, but nothing listens on ${what}`, todo);
  }
  if (trouble.code === "port_taken" && runs) return ok("ports", `${what} is used by our own ${by}`);
  if (trouble.code !== "port_taken") return fail("ports", trouble.message, `choose another port with ${variable}`);
  return fail("ports", `${what} is used by another program`, `stop it, or choose another port with ${variable}`);
}
