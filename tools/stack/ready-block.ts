/** What somebody needs who has just typed `npm start`. */
export type ReadyFacts = {
  consoleUrl: string;
  mqttUrl: string;
  dataFolder: string;
  machine: string;
  /** The one-time code of a first start without RASTRO_ADMIN_PASSWORD; null once there is an administrator. */
  setupCode: string | null;
  tookMs: number;
};

/** The block that `npm start` ends with. */
export function readyBlock(facts: ReadyFacts): string {
  const rows: [string, string][] = [
    ["Console", facts.consoleUrl],
    ["MQTT", `${facts.mqttUrl} (MQTT 3.1.1)`],
    ["Sign in", facts.setupCode === null ? SIGN_IN : `npm run rastro -- setup --code ${facts.setupCode}`],
    ...(facts.setupCode === null
      ? []
      : [["", "makes the first administrator; the code is good once"] satisfies [string, string]]),
    ["Data", facts.dataFolder],
    ["Machine", `${facts.machine} (this computer; npm run rastro -- machine list --watch)`],
    ["Add an entry", `npm run rastro -- entry add --machine ${facts.machine} --lot L-1 --good 10`],
    ["Stop", "Ctrl-C"],
  ];
  const width = Math.max(...rows.map(([label]) => label.length));
  const lines = rows.map(([label, text]) => `  ${label.padEnd(width)}  ${text}`);
  return ["", `Rastro is ready (${(facts.tookMs / 1000).toFixed(1)} s).`, "", ...lines, ""].join("\n");
}

const SIGN_IN = "npm run rastro -- login";
