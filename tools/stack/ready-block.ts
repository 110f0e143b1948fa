/** What somebody needs to know who has just typed `npm start`. */
export type ReadyFacts = {
  consoleUrl: string;
  mqttUrl: string;
  /** Where MQTT over TLS listens; `0.0.0.0` for every address of the machine. */
  mqttsUrl: string;
  wsUrl: string;
  dataFolder: string;
  machine: string;
  /** The one-time code while there is no administrator; null once there is one. */
  setupCode: string | null;
  /** Whether the administrator `admin` was made at this start, with RASTRO_ADMIN_PASSWORD. */
  adminCreated: boolean;
  tookMs: number;
  /** What a running process says is not right, a sentence each: "audit: the book takes no records". */
  troubles: readonly string[];
};

/** The block that `npm start` ends with. */
export function readyBlock(facts: ReadyFacts): string {
  const rows: [string, string][] = [
    ["Console", facts.consoleUrl],
    ["MQTT", `${facts.mqttUrl} (MQTT 3.1.1)`],
    ["MQTT, TLS", `${facts.mqttsUrl} (rastro tls show; docs/tls.md)`],
    ["WebSocket", `${facts.wsUrl} (MQTT 3.1.1), and /mqtt of the console`],
    ["Sign in", signInText(facts)],
    ["Data", facts.dataFolder],
    ["Machine", `${facts.machine} (this computer); all of them: npm run rastro -- machine list`],
    ["Add an entry", `npm run rastro -- entry add --machine ${facts.machine} --lot L-1 --good 10`],
    ["Stop", "Ctrl-C"],
  ];
  const width = Math.max(...rows.map(([label]) => label.length));
  const lines = rows.map(([label, text]) => `  ${label.padEnd(width)}  ${text}`);
  return ["", headline(facts), "", ...lines, ...facts.troubles.map((trouble) => `  NOT RIGHT  ${trouble}`), ""].join(
    "\n",
  );
}

function headline({ tookMs, troubles }: ReadyFacts): string {
  const after = `after ${(tookMs / 1000).toFixed(1)} s`;
  return troubles.length === 0 ? `Rastro is ready ${after}.` : `Rastro is up ${after}, but not all of it works.`;
}

function signInText({ setupCode, adminCreated }: ReadyFacts): string {
  if (setupCode !== null) return `make the first administrator: npm run rastro -- setup --code ${setupCode}`;
  if (adminCreated) return "npm run rastro -- login --user admin (password: that of RASTRO_ADMIN_PASSWORD)";
  return "npm run rastro -- login";
}
