// What @peculiar/x509 is made with needs it, and before it.
import "reflect-metadata";
import { createHash, webcrypto } from "node:crypto";
import { readFile } from "node:fs/promises";
import { hostname, networkInterfaces } from "node:os";
import { isIP } from "node:net";
import * as x509 from "@peculiar/x509";
import { codeOf, replaceFile } from "../../lib/runtime/new-file.ts";

x509.cryptoProvider.set(webcrypto);

const DAY_MS = 86_400_000;
const AUTHORITY_DAYS = 3650;
/** The longest life that clients accept of a leaf (CA/Browser Forum, ballot SC-22, gave 825 and later fewer days). */
export const LEAF_DAYS = 825;
/** A clock that is a little behind must not refuse what was made just now. */
export const BACKDATED_MS = 3_600_000;
/** P-256: what every TLS stack of the last ten years speaks. */
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNING = { name: "ECDSA", hash: "SHA-256" } as const;

const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

/** A certificate that was issued: PEM, the serial number in hexadecimal, and until when it holds. */
export type Issued = { certificate: string; serial: string; notAfter: Date };

/** The plant's own certificate authority. */
export interface Authority {
  /** PEM; whoever has it can check the hub's certificate. */
  readonly certificate: string;
  /** SHA-256 of its DER, hexadecimal. */
  readonly fingerprint: string;
  readonly notAfter: Date;
  /** For the hub: good under these names and addresses. Key and certificate, PEM. */
  issueServer(names: readonly string[]): Promise<Issued & { key: string }>;
  /** For a client whose key only the client has. @param publicKey - SubjectPublicKeyInfo, DER. */
  issueClient(name: string, publicKey: Uint8Array, days: number): Promise<Issued>;
}

/**
 * Opens the authority of a data folder, and makes it where there is none: ECDSA P-256, ten years, the key with mode 0600.
 *
 * @param o.plant - the plant's id, which stands in the authority's name.
 */
export async function openAuthority(o: {
  key: string;
  certificate: string;
  plant: string;
  now: () => number;
}): Promise<Authority> {
  const stored = await readStored(o);
  const { key, certificate } = stored ?? (await makeAuthority(o));
  const issue = async (asked: Leaf): Promise<Issued> => {
    const serialNumber = randomSerial();
    const notBefore = new Date(o.now() - BACKDATED_MS);
    const notAfter = new Date(Math.min(o.now() + asked.days * DAY_MS, certificate.notAfter.getTime()));
    const made = await x509.X509CertificateGenerator.create({
      serialNumber,
      subject: `CN=${asked.name}`,
      issuer: certificate.subject,
      notBefore,
      notAfter,
      publicKey: asked.publicKey,
      signingKey: key,
      signingAlgorithm: SIGNING,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([asked.usage]),
        await x509.AuthorityKeyIdentifierExtension.create(certificate.publicKey),
        ...asked.extensions,
      ],
    });
    return { certificate: `${made.toString("pem")}\n`, serial: serialNumber, notAfter };
  };
  return {
    certificate: `${certificate.toString("pem")}\n`,
    fingerprint: fingerprintOf(Buffer.from(certificate.rawData)),
    notAfter: certificate.notAfter,
    async issueServer(names) {
      const keys = await generateKeys();
      const alternatives = names.map((value) => ({
        type: isIP(value) > 0 ? ("ip" as const) : ("dns" as const),
        value,
      }));
      const extensions = [new x509.SubjectAlternativeNameExtension(alternatives)];
      const name = "rastro hub";
      const issued = await issue({ name, publicKey: keys.publicKey, days: LEAF_DAYS, usage: SERVER_AUTH, extensions });
      return { ...issued, key: await pemOf(keys.privateKey) };
    },
    async issueClient(name, publicKey, days) {
      const imported = await webcrypto.subtle.importKey("spki", publicKey, ALGORITHM, true, ["verify"]);
      return issue({ name, publicKey: imported, days, usage: CLIENT_AUTH, extensions: [] });
    },
  };
}

type Leaf = { name: string; publicKey: webcrypto.CryptoKey; days: number; usage: string; extensions: x509.Extension[] };

/** SHA-256 of a certificate's DER, hexadecimal. */
export function fingerprintOf(der: Uint8Array): string {
  return createHash("sha256").update(der).digest("hex");
}

/** The names and addresses that the hub is reached by: this host's, and those it was told. */
export function hubNames(told: readonly string[]): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  // A link-local address needs a zone, which no certificate can say.
  const usable = addresses.map(({ address }) => address).filter((address) => !address.startsWith("fe80:"));
  return [...new Set(["localhost", "127.0.0.1", "::1", hostname().toLowerCase(), ...usable, ...told])].toSorted();
}

async function readStored(o: { key: string; certificate: string }) {
  try {
    const [key, certificate] = [await readFile(o.key, "utf8"), await readFile(o.certificate, "utf8")];
    const der = x509.PemConverter.decodeFirst(key);
    return {
      key: await webcrypto.subtle.importKey("pkcs8", der, ALGORITHM, false, ["sign"]),
      certificate: new x509.X509Certificate(certificate),
    };
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
}

async function makeAuthority(o: { key: string; certificate: string; plant: string; now: () => number }) {
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(),
    name: `CN=Rastro plant ${o.plant}`,
    notBefore: new Date(o.now() - BACKDATED_MS),
    notAfter: new Date(o.now() + AUTHORITY_DAYS * DAY_MS),
    keys,
    signingAlgorithm: SIGNING,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  // The certificate last: without it the next start makes both anew.
  await replaceFile(o.key, await pemOf(keys.privateKey));
  await replaceFile(o.certificate, `${certificate.toString("pem")}\n`, 0o644);
  return { key: keys.privateKey, certificate };
}

async function generateKeys(): Promise<{ privateKey: webcrypto.CryptoKey; publicKey: webcrypto.CryptoKey }> {
  return await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  const der = await webcrypto.subtle.exportKey("pkcs8", key);
  return `${x509.PemConverter.encode(der, "PRIVATE KEY")}\n`;
}

/** 127 random bits: positive, and never twice (RFC 5280 §4.1.2.2). */
function randomSerial(): string {
  const bytes = Buffer.from(webcrypto.getRandomValues(new Uint8Array(16)));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}
