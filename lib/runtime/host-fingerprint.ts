import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";

/** Where Linux keeps the id that a computer got when it was installed (machine-id(5)). */
const MACHINE_ID_FILES = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/**
 * Tells whether two processes run on one computer, without saying which computer: SHA-256, in hexadecimal, over the
 * plant's id and the system's own. Null where the system has no id that can be read.
 *
 * @param o.hostId - what `RASTRO_HOST_ID` says; it stands for the system's id, which containers often lack.
 * @param o.systemId - reads the system's own id.
 */
export async function hostFingerprint(o: {
  plant: string;
  hostId: string | null;
  systemId?: () => Promise<string | null>;
}): Promise<string | null> {
  const id = o.hostId ?? (await (o.systemId ?? readSystemId)());
  return id === null ? null : createHash("sha256").update(`rastro/host\n${o.plant}\n${id}`).digest("hex");
}

async function readSystemId(): Promise<string | null> {
  for (const file of MACHINE_ID_FILES) {
    const id = idIn(await readFile(file, "utf8").catch(() => ""));
    if (id !== null) return id;
  }
  return process.platform === "linux" ? null : askSystem();
}

/** Elsewhere it takes a program of the system, which systeminformation knows. */
async function askSystem(): Promise<string | null> {
  const { uuid } = await import("systeminformation");
  return idIn((await uuid()).os);
}

/** Null for what stands there before there is an id, such as "uninitialized". */
function idIn(text: string): string | null {
  const id = text.trim().toLowerCase();
  return /^[0-9a-f-]{32,36}$/.test(id) ? id : null;
}
