import { z } from "zod";
import { RastroError } from "../contracts/errors.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Never repeated in a message, whatever is wrong with them. */
const SECRET_VARIABLES = new Set(["RASTRO_ADMIN_PASSWORD", "RASTRO_BROKER_URL"]);

/** A port; 0 asks the system for a free one. */
export const port = (preset: number) =>
  z
    .string()
    .regex(/^\d{1,5}$/, "a port from 1 to 65535, or 0 for any free one")
    .transform(Number)
    .refine((value) => value <= 65_535, "a port from 1 to 65535, or 0 for any free one")
    .default(preset);

/** A whole number of something. */
export const whole = (unit: string, least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, `${unit} from ${least} to ${most}`)
    .transform(Number)
    .refine((value) => value >= least && value <= most, `${unit} from ${least} to ${most}`);

/**
 * Reads the variables that a schema names. One that is set but empty counts as not set.
 *
 * @throws RastroError `bad_setting` that names the variable, its value (never a secret one) and what is expected.
 */
export function readVariables<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  environment: Environment,
): z.infer<z.ZodObject<Shape>> {
  const given = onlyFilled(Object.keys(schema.shape), environment);
  const parsed = schema.safeParse(given);
  if (!parsed.success) throw badSetting(parsed.error.issues[0], given);
  return parsed.data;
}

function onlyFilled(names: readonly string[], environment: Environment): Record<string, string> {
  const filled: Record<string, string> = {};
  for (const name of names) {
    const value = environment[name]?.trim();
    if (value) filled[name] = value;
  }
  return filled;
}

function badSetting(issue: z.core.$ZodIssue | undefined, given: Record<string, string>): RastroError {
  const name = String(issue?.path[0] ?? "a variable");
  const value = SECRET_VARIABLES.has(name) ? "a value that is not shown" : JSON.stringify(given[name]);
  const expected = issue?.message ?? "a value that fits";
  return new RastroError({
    code: "bad_setting",
    message: `Reading the settings failed: ${name} is ${value}; expected: ${expected}. Change or unset ${name}.`,
    field: name,
    given: value,
    expected,
  });
}
