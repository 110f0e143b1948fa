import type { Folders } from "../../lib/runtime/folders.ts";
import { type Authority, hubNames, openAuthority } from "./authority.ts";
import { hubCertificate } from "./hub-certificate.ts";
import type { TlsIdentity } from "./tls-listener.ts";

/**
 * The authority of a data folder and what the hub shows, made where they are missing and renewed where they have to be.
 *
 * @param o.names - names and addresses of the hub besides this host's own.
 */
export async function openTlsIdentity(o: {
  folders: Folders;
  plant: string;
  names: readonly string[];
  now: () => number;
}): Promise<{ authority: Authority; identity: TlsIdentity }> {
  const { folders, now } = o;
  const files = { key: folders.authorityKey, certificate: folders.authorityCertificate };
  const authority = await openAuthority({ ...files, plant: o.plant, now });
  const own = { key: folders.hubKey, certificate: folders.hubCertificate };
  const { key, certificate } = await hubCertificate({ authority, ...own, names: hubNames(o.names), now });
  return { authority, identity: { key, certificate, authority: authority.certificate } };
}
