import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  formatNote,
  formatVerifierKey,
  judgeSignature,
  parseNote,
  parseVerifierKey,
  SIGNATURE_TYPES,
  signNote,
  verifierKey,
} from "../../../lib/ledger/signed-note.ts";
import { rawPublicKey } from "../../../lib/ledger/signature.ts";
import { keyOfSeed } from "./keys.ts";

/** The example of C2SP signed-note, "Example". */
const SPECIFIED = {
  key: "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
  note: "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n",
};

/** The example in the documentation of Go's golang.org/x/mod/sumdb/note. */
const GO = {
  key: "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
  note: "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n",
};

const signer = { name: "plant-1/audit", privateKey: keyOfSeed(1) };
const key = verifierKey(signer.name, SIGNATURE_TYPES.ed25519, rawPublicKey(signer.privateKey));
const text = "plant-1/audit\n3\nBa7+gLvbHhZ4CNmmnQreA7xubB7tOfTOYDG6ZGGxmc4=\n";
const note = formatNote({ text, signatures: [signNote(text, signer)] });

describe("a signed note", () => {
  it.each([SPECIFIED, GO])("of somebody else's verifies: $key", (given) => {
    const read = parseNote(given.note);
    expect(judgeSignature(read, parseVerifierKey(given.key))).toBe("fits");
    expect(formatNote(read)).toBe(given.note);
    expect(formatVerifierKey(parseVerifierKey(given.key))).toBe(given.key);
  });

  it("of ours verifies, and says so of no other key", () => {
    expect(judgeSignature(parseNote(note), key)).toBe("fits");
    expect(judgeSignature(parseNote(note), parseVerifierKey(GO.key))).toBe("absent");
  });

  it("is malformed as a whole when a line names the key and does not fit", () => {
    const read = parseNote(note);
    const [first] = read.signatures;
    const forged = { name: key.name, keyId: key.keyId, bytes: Buffer.alloc(64, 7) };
    expect(judgeSignature({ ...read, signatures: [forged] }, key)).toBe("wrong");
    expect(judgeSignature({ ...read, signatures: [first ?? forged, forged] }, key)).toBe("wrong");
  });

  it("keeps empty lines within its text", () => {
    const long = "one\n\ntwo\n\n";
    const written = formatNote({ text: long, signatures: [signNote(long, signer)] });
    expect(parseNote(written).text).toBe(long);
  });

  it.each([
    ["nothing", ""],
    ["a text without signatures", "one\n\n"],
    ["no empty line", note.replace("\n\n", "\n")],
    ["no last line break", note.slice(0, -1)],
    ["a hyphen for the dash", note.replace("—", "-")],
    ["two blanks", note.replace("— plant-1/audit ", "— plant-1/audit  ")],
    ["a name with a plus", note.replace("— plant-1/audit", "— plant+1/audit")],
    ["base64 with another last bit", note.replace(/=\n$/, "\n")],
    ["a tab in the text", note.replace("plant-1/audit\n3", "plant-1/audit\n3\t")],
    ["a carriage return", note.replaceAll("\n", "\r\n")],
    ["65 signatures", formatNote({ text, signatures: Array.from({ length: 65 }, () => signNote(text, signer)) })],
  ])("does not read: %s", (_name, given) => {
    expect(() => parseNote(given)).toThrow(expect.objectContaining({ code: "bad-note" }));
  });

  it("says nothing else after any change of a character", () => {
    fc.assert(
      fc.property(fc.nat(note.length - 1), fc.constantFrom("A", "b", "0", "+", " ", "\n", "—"), (at, character) => {
        fc.pre(note[at] !== character);
        const changed = note.slice(0, at) + character + note.slice(at + 1);
        expect(whatHolds(changed)).not.toBe("fits");
      }),
    );
  });
});

function whatHolds(changed: string): string {
  try {
    return judgeSignature(parseNote(changed), key);
  } catch {
    return "unreadable";
  }
}

describe("a verifier key", () => {
  it.each([
    ["another id", SPECIFIED.key.replace("530d903a", "530d903b")],
    ["an id in capitals", SPECIFIED.key.replace("530d903a", "530D903A")],
    ["a type that nobody knows", "a+00000000+Av///w=="],
    ["a short key", "a+00000000+AQID"],
    ["no name", SPECIFIED.key.replace("example.com/foo", "")],
    ["a blank", SPECIFIED.key.replace("example.com/foo", "example com")],
  ])("does not read: %s", (_name, given) => {
    expect(() => parseVerifierKey(given)).toThrow(expect.objectContaining({ code: "bad-note" }));
  });
});
