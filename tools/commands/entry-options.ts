import type { Command } from "commander";
import { parseValue } from "../../lib/contracts/parse.ts";
import { EntryFields } from "../../lib/contracts/production.ts";
import { typedCount, usageError } from "../client/usage.ts";

/** What can be said of an entry on the command line; everything as it was typed. */
export type FieldOptions = {
  machine?: string;
  lot?: string;
  order?: string;
  product?: string;
  operation?: string;
  good?: string;
  rework?: string;
  review?: string;
  scrap?: string[];
  defect?: string[];
  scrapOf?: string[];
  scrapNone?: true;
};

/** Adds the options of {@link FieldOptions} but machine and lot, which a creation demands and a correction does not. */
export function addFieldOptions(command: Command): Command {
  return command
    .option("--order <code>", "work order")
    .option("--product <code>", "product")
    .option("--operation <code>", "operation")
    .option("--good <pieces>", "good pieces")
    .option("--rework <pieces>", "pieces to be reworked")
    .option("--review <pieces>", "pieces held for review")
    .option(
      "--scrap <pieces>",
      "scrapped pieces, with the --defect of the same place in the order; may be repeated",
      collect,
    )
    .option("--defect <code>", "why they were scrapped; one for each --scrap", collect)
    .option(
      "--scrap-of <defect[@location]=pieces>",
      "the same in one option, with a location; may be repeated",
      collect,
    );
}

function collect(value: string, earlier: string[] | undefined): string[] {
  return [...(earlier ?? []), value];
}

/**
 * Makes the fields of an entry by the schema that the service uses, so that the message is the service's too.
 *
 * @param base - fields to start from: those of the version that is corrected.
 * @throws RastroError `schema`.
 */
export function entryFields(options: FieldOptions, base: Partial<EntryFields> = {}): EntryFields {
  return parseValue(
    EntryFields,
    { ...base, ...typedTexts(options), ...typedCounts(options), ...typedScrap(options) },
    "the entry",
  );
}

/** Whether any field was given at all. */
export function changesSomething(options: FieldOptions): boolean {
  return Object.keys({ ...typedTexts(options), ...typedCounts(options), ...typedScrap(options) }).length > 0;
}

/** An empty text takes an optional field away. */
function typedTexts({ machine, lot, order, product, operation }: FieldOptions): Record<string, unknown> {
  const optional = Object.entries({ order, product, operation })
    .filter(([, text]) => text !== undefined)
    .map(([name, text]) => [name, text === "" ? null : text] as const);
  const needed = Object.entries({ machine, lot }).filter(([, text]) => text !== undefined);
  return Object.fromEntries([...needed, ...optional]);
}

function typedCounts({ good, rework, review }: FieldOptions): Record<string, unknown> {
  const given = Object.entries({ good, rework, review }).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return Object.fromEntries(given.map(([name, text]) => [name, typedCount(text)]));
}

/** Any scrap that is given takes the place of all that was there. */
function typedScrap(options: FieldOptions): { scrap?: unknown[] } {
  const scrap = [...pairedScrap(options.scrap ?? [], options.defect ?? []), ...(options.scrapOf ?? []).map(scrapOf)];
  if (options.scrapNone && scrap.length > 0) {
    throw usageError("--scrap-none", "used with --scrap", "one of the two");
  }
  return scrap.length > 0 || options.scrapNone ? { scrap } : {};
}

function pairedScrap(pieces: string[], defects: string[]): unknown[] {
  if (pieces.length !== defects.length) {
    const given = `given ${pieces.length} times with ${defects.length} --defect`;
    throw usageError("--scrap", given, "one --defect for each --scrap, in the same order");
  }
  return pieces.map((text, index) => ({ defect: defects[index], pieces: typedCount(text) }));
}

/** Defects and locations may contain anything but "@" and "="; with those in a name, use --scrap and --defect. */
function scrapOf(text: string): unknown {
  const parts = /^([^@=]+)(?:@([^@=]+))?=([^@=]+)$/.exec(text);
  if (parts === null) throw usageError("--scrap-of", JSON.stringify(text), "DEFECT=PIECES or DEFECT@LOCATION=PIECES");
  const [, defect, location, pieces] = parts;
  return { defect, location: location ?? null, pieces: typedCount(pieces ?? "") };
}
