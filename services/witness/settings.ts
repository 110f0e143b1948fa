import { isIP } from "node:net";
import { resolve } from "node:path";
import { z } from "zod";
import { RastroError } from "../../lib/contracts/errors.ts";
import { isKeyName } from "../../lib/ledger/signed-note.ts";
import { type Environment, port, readVariables } from "../../lib/runtime/variables.ts";

/** What a witness of its own is told by its environment, besides what every process is. */
export type WitnessSettings = {
  /** Where logs ask it; 0 for any free one. */
  port: number;
  /** Path of the file with the keys of the logs; null for the one in its data folder. */
  logs: string | null;
  /** Of its key; null for a name made of the machine's. */
  name: string | null;
  /** Paths of the PEM files for TLS; null for plain HTTP. */
  tls: { certificate: string; key: string } | null;
  /** Addresses of proxies before its port, which name who asks in `x-forwarded-for`. */
  proxies: readonly string[];
};

const Variables = z.object({
  RASTRO_WITNESS_PORT: port(8085),
  RASTRO_WITNESS_LOGS: z.string().optional(),
  RASTRO_WITNESS_NAME: z
    .string()
    .refine((name) => isKeyName(name) && name.length <= 255, 'a name without blanks and "+"')
    .optional(),
  RASTRO_WITNESS_PROXIES: z
    .string()
    .transform((text) => text.split(",").map((part) => part.trim()))
    .refine((addresses) => addresses.every((address) => isIP(address) !== 0), "addresses, with commas between them")
    .default([]),
  RASTRO_WITNESS_CERTIFICATE: z.string().optional(),
  RASTRO_WITNESS_KEY: z.string().optional(),
});

/** @throws RastroError `bad_setting`. */
export function readWitnessSettings(environment: Environment): WitnessSettings {
  const given = readVariables(Variables, environment);
  const { RASTRO_WITNESS_LOGS: logs, RASTRO_WITNESS_CERTIFICATE: certificate, RASTRO_WITNESS_KEY: key } = given;
  if ((certificate === undefined) !== (key === undefined)) throw halfOfTls();
  return {
    port: given.RASTRO_WITNESS_PORT,
    logs: logs === undefined ? null : resolve(logs),
    name: given.RASTRO_WITNESS_NAME ?? null,
    proxies: given.RASTRO_WITNESS_PROXIES,
    tls: certificate && key ? { certificate: resolve(certificate), key: resolve(key) } : null,
  };
}

function halfOfTls(): RastroError {
  return new RastroError({
    code: "bad_setting",
    message:
      "Reading the settings failed: of RASTRO_WITNESS_CERTIFICATE and RASTRO_WITNESS_KEY one is missing; set both for TLS, or none.",
    field: "RASTRO_WITNESS_CERTIFICATE",
    expected: "both or none",
  });
}
