import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { codeOf, replaceFile } from "../../lib/runtime/new-file.ts";
import type { Authority } from "./authority.ts";

/** So long before its end, or once the hub has other names, a new one is made. */
const RENEWED_BEFORE_MS = 60 * 86_400_000;

/** What the hub shows to clients; PEM. */
export type HubCertificate = { key: string; certificate: string; notAfter: Date };

/**
 * The hub's own certificate: the stored one while it is the authority's, holds for long enough and has all of the names,
 * else a new one, stored.
 *
 * @param o.folders - where key (mode 0600) and certificate lie.
 */
export async function hubCertificate(o: {
  authority: Authority;
  key: string;
  certificate: string;
  names: readonly string[];
  now: () => number;
}): Promise<HubCertificate> {
  const stored = await readStored(o);
  if (stored !== null && isGood(stored.certificate, o)) return stored;
  const issued = await o.authority.issueServer(o.names);
  await replaceFile(o.key, issued.key);
  await replaceFile(o.certificate, issued.certificate, 0o644);
  return issued;
}

async function readStored(o: { key: string; certificate: string }): Promise<HubCertificate | null> {
  try {
    const [key, certificate] = [await readFile(o.key, "utf8"), await readFile(o.certificate, "utf8")];
    return { key, certificate, notAfter: new Date(new X509Certificate(certificate).validTo) };
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
}

function isGood(pem: string, o: { authority: Authority; names: readonly string[]; now: () => number }): boolean {
  const certificate = new X509Certificate(pem);
  const known = namesOf(certificate);
  return (
    certificate.checkIssued(new X509Certificate(o.authority.certificate)) &&
    Date.parse(certificate.validTo) - o.now() > RENEWED_BEFORE_MS &&
    o.names.every((name) => known.has(name))
  );
}

/** The names and addresses of a certificate, as {@link Authority.issueServer} was told them. */
export function namesOf(certificate: X509Certificate): Set<string> {
  const parts = (certificate.subjectAltName ?? "").split(", ");
  return new Set(parts.map((part) => shortened(part.replace(/^(?:DNS|IP Address):/, ""))));
}

/** Node writes an IPv6 address in eight groups, the system with `::`. */
function shortened(name: string): string {
  if (!/^[0-9A-F:]+$/i.test(name) || !name.includes(":")) return name;
  return new URL(`http://[${name}]`).hostname.slice(1, -1);
}
