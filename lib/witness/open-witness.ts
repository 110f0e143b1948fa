import type { WitnessAlarm, WitnessAnswer, WitnessReport } from "../contracts/witness.ts";
import { formatVerifierKey } from "../ledger/signed-note.ts";
import { loadOrCreateKey } from "../runtime/keys.ts";
import type { Logger } from "../runtime/log.ts";
import type { Metric } from "../runtime/metrics.ts";
import { replaceFile } from "../runtime/new-file.ts";
import { witnessFigures } from "./figures.ts";
import { type Findings, openFindings } from "./findings.ts";
import { openLogNotes } from "./log-notes.ts";
import { originsOf, type TrustedLogs } from "./trusted-logs.ts";
import { createWitness, type Finding, type Witness } from "./witness.ts";

/** Told of an alarm that is raised, and with null of one that is cleared. */
export type AlarmListener = (origin: string, alarm: WitnessAlarm | null) => void;

export type OpenWitness = {
  witness: Witness;
  findings: Findings;
  /** What a person is shown of each log that it follows. */
  report(): WitnessReport[];
  figures: Metric[];
  onAlarm(listener: AlarmListener): void;
};

/**
 * Opens a witness on its files, and makes its key at the first run (mode 0600).
 *
 * @param o.publicKeyFile - gets its key as one line, for whoever carries it to others.
 * @param o.keyFile - a key for cosigning alone: C2SP's tlog-cosignature forbids to use one under two names.
 * @param o.folder - for what it has cosigned, and its alarms.
 * @throws RastroError `store_unusable`.
 */
export async function openWitness(o: {
  name: string;
  keyFile: string;
  publicKeyFile: string;
  folder: string;
  logs: TrustedLogs;
  /**
   * Whether anybody may ask, as over HTTP: who hands in a checkpoint of the log with a proof that does not hold may then
   * be somebody else, and the log is not accused of it.
   */
  anybodyAsks?: boolean;
  now: () => number;
  log: Logger;
}): Promise<OpenWitness> {
  const { name, logs, now, log } = o;
  const { privateKey } = await loadOrCreateKey(o.keyFile);
  const listeners = new Set<AlarmListener>();
  const onChange: AlarmListener = (...change) => {
    for (const listener of listeners) listener(...change);
  };
  const notes = await openLogNotes(o.folder);
  const findings = await openFindings({ folder: o.folder, onChange, now, log });

  const last = new Map<string, { size: number; at: string }>();
  const remember = (origin: string, { size, at }: { size: number; at: number }) =>
    void last.set(origin, { size, at: new Date(at * 1000).toISOString() });
  const onFinding = async (finding: Finding) => {
    if (o.anybodyAsks !== true || finding.alarm !== "inconsistent") await findings.raise(finding);
    else log.debug({ finding }, "a request did not prove what it asked for");
  };
  const witness = createWitness({ name, privateKey, logs, notes, onFinding, onCosigned: remember, now, log });
  await replaceFile(o.publicKeyFile, `${formatVerifierKey(witness.key)}\n`, 0o644);
  await recall(witness, logs, remember, log);

  const report = () =>
    originsOf(logs).map((origin) => {
      const alarm = findings.of(origin)?.alarm ?? null;
      return { origin, size: null, at: null, ...last.get(origin), alarm };
    });
  const answers = new Map<WitnessAnswer["status"], number>();
  return {
    witness: counting(witness, answers),
    findings,
    report,
    figures: witnessFigures({ answers, report }),
    onAlarm: (listener) => void listeners.add(listener),
  };
}

/** What it cosigned before it was started. That it cannot be read is said at once, not with the first request. */
async function recall(
  witness: Witness,
  logs: TrustedLogs,
  remember: (origin: string, cosigned: { size: number; at: number }) => void,
  log: Logger,
): Promise<void> {
  for (const origin of originsOf(logs)) {
    try {
      const cosigned = await witness.cosigned(origin);
      if (cosigned !== null) remember(origin, { size: cosigned.checkpoint.head.size, at: cosigned.at });
    } catch (err) {
      log.error({ err, origin }, "what was cosigned before cannot be read: this log is not witnessed");
    }
  }
}

function counting(witness: Witness, answers: Map<WitnessAnswer["status"], number>): Witness {
  return {
    ...witness,
    async addCheckpoint(request) {
      const answer = await witness.addCheckpoint(request);
      answers.set(answer.status, (answers.get(answer.status) ?? 0) + 1);
      return answer;
    },
  };
}
