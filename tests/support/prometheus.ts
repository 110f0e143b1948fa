export type Family = { type: string; samples: { labels: Record<string, string>; value: number }[] };

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"(?:,|$)/y;

/**
 * Reads the text format of Prometheus (0.0.4), strictly: every name has HELP and TYPE before its samples and all of its
 * samples in one place. Histograms and summaries are kept under the names of their samples.
 *
 * @throws Error at the first line that breaks the format.
 */
export function parseMetrics(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  const ended = new Set<string>();
  let helped = "";
  let current = "";
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const [, kind, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (kind === "HELP") {
      if (!NAME.test(name) || ended.has(name) || families.has(name))
        throw new Error(`described twice or badly: ${line}`);
      if (current !== "") ended.add(current);
      helped = name;
    } else if (kind === "TYPE") {
      if (helped !== name) throw new Error(`a type without a description: ${line}`);
      families.set(name, { type: rest, samples: [] });
      current = name;
    } else addSample(line);
  }
  return families;

  function addSample(line: string): void {
    const [, name = "", labels = "", value = ""] = SAMPLE.exec(line) ?? [];
    if (name === "" || !name.startsWith(current) || current === "") throw new Error(`no sample of ${current}: ${line}`);
    const number = Number(value.replace("+Inf", "Infinity"));
    if (!/^nan$/i.test(value) && Number.isNaN(number)) throw new Error(`no number: ${line}`);
    families.get(current)?.samples.push({ labels: readLabels(labels, line), value: number });
  }
}

function readLabels(text: string, line: string): Record<string, string> {
  const labels: Record<string, string> = {};
  let at = 0;
  while (at < text.length) {
    LABEL.lastIndex = at;
    const found = LABEL.exec(text);
    if (found === null) throw new Error(`labels that cannot be read: ${line}`);
    labels[found[1] ?? ""] = (found[2] ?? "").replaceAll('\\"', '"').replaceAll("\\\\", "\\");
    at = LABEL.lastIndex;
  }
  return labels;
}
