import { type FileHandle, open } from "node:fs/promises";
import { linesOf } from "./lines.ts";
import { type Report, Steps } from "./report.ts";
import { type Trust, UsageFault } from "./trust.ts";
import { verifyExport } from "./verify-export.ts";
import { verifyProof } from "./verify-proof.ts";

/** Longer than any proof: a record, 63 hashes and a note, in base64. */
const PROOF_MAXIMUM = 256 * 1024;

/**
 * Verifies a file, whichever of the two it is.
 *
 * @param o.onProgress - told how much of the file was read, from 0 to 1.
 * @throws UsageFault when the file cannot be read.
 */
export async function verifyFile(
  path: string,
  trust: Trust,
  o: { onProgress?: (part: number) => void } = {},
): Promise<Report> {
  const file = await reading(path, () => open(path, "r"));
  try {
    return await reading(path, () => verifyOpen(file, trust, o.onProgress ?? (() => {})));
  } finally {
    await file.close();
  }
}

async function verifyOpen(file: FileHandle, trust: Trust, onProgress: (part: number) => void): Promise<Report> {
  const { size } = await file.stat();
  const { buffer, bytesRead } = await file.read(Buffer.alloc(8), 0, 8, 0);
  const start = buffer.toString("latin1", 0, bytesRead);
  if (start.startsWith("{"))
    return verifyExport(
      linesOf(file, (read) => onProgress(read / size)),
      trust,
    );
  if (start !== "c2sp.org") return new Steps(null).refuse("it begins neither as a proof nor as an export");
  if (size > PROOF_MAXIMUM) return new Steps("proof").refuse(`it is longer than ${PROOF_MAXIMUM} bytes`);
  return verifyProof(await file.readFile(), trust);
}

async function reading<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new UsageFault(`Reading ${path} failed (${why}).`, { cause });
  }
}
