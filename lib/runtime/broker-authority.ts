import { readFileSync } from "node:fs";
import { RastroError } from "../contracts/errors.ts";
import { codeOf } from "./new-file.ts";

/**
 * The certificate (PEM) by which a client knows the broker over TLS: that of `RASTRO_CA`, else the one that lies at
 * `pinned`, else undefined, which leaves it to the authorities of the system. Undefined without TLS.
 *
 * @throws RastroError `bad_setting` when `RASTRO_CA` names a file that cannot be read.
 */
export function brokerAuthority(o: { brokerUrl: string; ca: string | null; pinned: string }): string | undefined {
  if (!/^(?:mqtts|wss):/.test(o.brokerUrl)) return undefined;
  try {
    return readFileSync(o.ca ?? o.pinned, "utf8");
  } catch (cause) {
    if (o.ca === null && codeOf(cause) === "ENOENT") return undefined;
    const file = o.ca ?? o.pinned;
    throw new RastroError(
      {
        code: "bad_setting",
        message: `Reading the broker's authority failed: ${file} cannot be read (${codeOf(cause) ?? "unknown reason"}); RASTRO_CA names the plant's ca.crt.`,
        field: "RASTRO_CA",
        given: file,
        expected: "a PEM file that can be read",
      },
      { cause },
    );
  }
}
