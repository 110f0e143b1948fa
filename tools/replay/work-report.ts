import { z } from "zod";
import { plainText } from "../../lib/contracts/names.ts";

const COUNT_MAXIMUM = 10_000_000;
const COUNT = "a whole number from 0 to 10,000,000";
const Count = z
  .string()
  .regex(/^\d{1,8}$/, COUNT)
  .transform(Number)
  .refine((count) => count <= COUNT_MAXIMUM, COUNT);

const WALL_TIME = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d))?$/;
/** From 1971 on, so that the instant lies after 1970 in every zone: ids hold no earlier one. */
const WALL_TIME_EXPECTED = "a local date and time from 1971 on, such as 2026-11-24T14:05:00, without a zone";
/** A wall time, in ms since 1970 as if it were UTC. */
const WallTime = z.string().transform((text, context) => {
  const wall = wallTime(text);
  if (wall === null) context.addIssue({ code: "custom", message: WALL_TIME_EXPECTED });
  return wall ?? 0;
});

const MachineName = plainText(128).refine((name) => machineId(name) !== "", "a name with a letter or digit in it");

/** A row of a file of work reports, by its columns. */
export const WorkReport = z
  .object({
    order: plainText(64),
    order_quantity: z.union([z.literal("").transform(() => null), Count], COUNT),
    part: plainText(64),
    activity: plainText(64),
    machine: MachineName,
    worker: z.string(),
    /** Production, set-up or breakdown. */
    report_type: z.enum(["D", "S", "B"], "D, S or B"),
    start: WallTime,
    end: WallTime,
    completed: Count,
    rejected: Count,
    review: Count,
    /** The work was done once more on pieces that had been through it. */
    rework: z.enum(["", "Y", "N"], "Y, N or nothing"),
  })
  .refine((report) => report.end >= report.start, { path: ["end"], error: "a time that is not before start" });
export type WorkReport = z.infer<typeof WorkReport>;

export const COLUMNS: readonly string[] = Object.keys(WorkReport.shape);

/** Makes a machine's id of its name: `Machine 3 - Round Grinding` is `machine-3-round-grinding`. */
export function machineId(name: string): string {
  return name
    .normalize("NFKD")
    .replaceAll(/\p{Mark}/gu, "")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .slice(0, 63)
    .replaceAll(/^-|-$/g, "");
}

function wallTime(text: string): number | null {
  const fields = WALL_TIME.exec(text)
    ?.slice(1)
    .map((field) => Number(field ?? 0));
  if (fields === undefined) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = fields;
  const wall = Date.UTC(year, month - 1, day, hour, minute, second);
  const given = text.replace(" ", "T").padEnd(19, ":00");
  return year >= 1971 && new Date(wall).toISOString().startsWith(given) ? wall : null;
}
