import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { openTlsIdentity } from "../../broker/tls/open-identity.ts";
import { fingerprintOf } from "../../broker/tls/authority.ts";
import { namesOf } from "../../broker/tls/hub-certificate.ts";
import { CertificateRequest } from "../../lib/contracts/directory.ts";
import { RastroError } from "../../lib/contracts/errors.ts";
import { parseValue } from "../../lib/contracts/parse.ts";
import { foldersOf } from "../../lib/runtime/folders.ts";
import { codeOf, createOnce, replaceFile } from "../../lib/runtime/new-file.ts";
import { readPlant } from "../../lib/runtime/plant.ts";
import { readSettings } from "../../lib/runtime/settings.ts";
import type { Outcome } from "../client/outcome.ts";
import { list, localTime } from "../client/print.ts";
import type { Terminal } from "../client/terminal.ts";
import type { IssueOptions } from "./tls.ts";

/** What ends within this time is worth a word. */
const SOON_MS = 30 * 86_400_000;

/** @throws RastroError `store_unusable` when the data folder has no plant yet, or cannot be written. */
export async function runInit(terminal: Terminal): Promise<Outcome> {
  const settings = readSettings(terminal.env);
  const { id } = await readPlant(settings.data);
  await openTlsIdentity({ folders: foldersOf(settings.data), plant: id, names: settings.tlsNames, now: Date.now });
  return runShow(terminal);
}

export async function runShow(terminal: Terminal): Promise<Outcome> {
  const folders = foldersOf(readSettings(terminal.env).data);
  const authority = await readCertificate(folders.authorityCertificate);
  const hub = await readCertificate(folders.hubCertificate);
  const names = [...namesOf(hub)];
  const data = {
    authority: {
      file: folders.authorityCertificate,
      fingerprint: fingerprintOf(authority.raw),
      notAfter: until(authority),
    },
    hub: { names, notAfter: until(hub) },
  };
  const facts = list([
    ["authority", folders.authorityCertificate],
    ["fingerprint", data.authority.fingerprint],
    ["holds until", localTime(data.authority.notAfter)],
    ["hub's names", names.join(", ")],
    ["holds until", localTime(data.hub.notAfter)],
  ]);
  const soon = [authority, hub].some((one) => Date.parse(until(one)) - Date.now() < SOON_MS);
  return {
    data,
    text: soon ? `${facts}\n\nSomething ends within 30 days: the hub renews its own at its next start.` : facts,
  };
}

/** @throws RastroError what the directory answers; `store_unusable` for a folder that cannot be written, or a key that is there already. */
export async function runIssue(terminal: Terminal, name: string, options: IssueOptions): Promise<Outcome> {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = publicKey.export({ type: "spki", format: "der" }).toString("base64");
  const request = parseValue(CertificateRequest, { name, publicKey: spki, days: Number(options.days) }, "the options");
  const { withHub } = await import("../client/session.ts");
  const issued = await withHub(terminal.env, (hub) => hub.directory.certificateIssue(hub.bearer, request));

  const folder = resolve(options.out);
  const files = {
    key: join(folder, `${name}.key`),
    certificate: join(folder, `${name}.crt`),
    authority: join(folder, "ca.crt"),
  };
  const written = await createOnce(files.key, privateKey.export({ type: "pkcs8", format: "pem" }).toString());
  if (!written) throw keyIsThere(files.key);
  await replaceFile(files.certificate, issued.certificate, 0o644);
  await replaceFile(files.authority, issued.authority, 0o644);
  const data = { name, serial: issued.serial, notAfter: issued.notAfter, ...files };
  const text = list([
    ["key", files.key],
    ["certificate", files.certificate],
    ["authority", files.authority],
    ["serial", issued.serial],
    ["holds until", localTime(issued.notAfter)],
  ]);
  return { data, text };
}

async function readCertificate(file: string): Promise<X509Certificate> {
  try {
    return new X509Certificate(await readFile(file));
  } catch (cause) {
    const why = codeOf(cause) === "ENOENT" ? "it is not there; rastro tls init makes it" : "it is no certificate";
    throw new RastroError(
      { code: "store_unusable", message: `Reading ${file} failed: ${why}.`, given: file },
      { cause },
    );
  }
}

function until(certificate: X509Certificate): string {
  return new Date(certificate.validTo).toISOString();
}

function keyIsThere(file: string): RastroError {
  return new RastroError({
    code: "store_unusable",
    message: `Writing ${file} failed: there is a key already; name another folder with -o, or move it away.`,
    given: file,
    expected: "a name that is not there",
  });
}
