import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalBytes, canonicalText } from "../../../lib/ledger/canonical.ts";
import { leafHash } from "../../../lib/ledger/hash.ts";
import { type LedgerRecord, NO_PREVIOUS, openRecord, RECORD_MAXIMUM, sealRecord } from "../../../lib/ledger/record.ts";

const record: LedgerRecord = {
  v: 1,
  seq: 7,
  prev: "ab".repeat(32),
  recv: "2026-11-24T05:44:05.000Z",
  event: { id: "0193f3a0-0000-7000-8000-000000000001", lot: "L-2 µ" },
  sig: { by: "ipc-07", key: "0123456789abcdef", value: "c2ln" },
  via: { kind: "outbox", name: "ipc-07", session: null },
  added: { result: "booked", code: null, role: "machine", rev: 1, before: null, after: { good: 3 }, flags: ["late"] },
};

describe("sealing a record", () => {
  it("gives its canonical JSON and the leaf over it", () => {
    const { bytes, leaf } = sealRecord(record);
    expect(bytes).toEqual(canonicalBytes(record));
    expect(leaf).toEqual(leafHash(bytes));
  });

  it("gives the same with the event's text at hand, for any contents", () => {
    const json = fc.jsonValue({ noUnicodeString: false, maxDepth: 3 }).filter(hasCanonicalForm);
    fc.assert(
      fc.property(fc.dictionary(fc.string(), json), json, fc.nat(), fc.boolean(), (event, after, seq, signed) => {
        const any = { ...record, event, seq, sig: signed ? record.sig : null, added: { ...record.added, after } };
        expect(sealRecord(any, canonicalText(event)).bytes).toEqual(canonicalBytes(any));
      }),
    );
  });

  it("refuses more than 65,535 bytes and takes as many", () => {
    const withText = (length: number) => ({ ...record, event: { text: "x".repeat(length) } });
    const room = RECORD_MAXIMUM - sealRecord(withText(0)).bytes.length;
    expect(sealRecord(withText(room)).bytes).toHaveLength(RECORD_MAXIMUM);
    expect(() => sealRecord(withText(room + 1))).toThrow(expect.objectContaining({ code: "too-large" }));
  });
});

describe("opening a record", () => {
  it("gives what was sealed", () => {
    expect(openRecord(sealRecord(record).bytes)).toEqual(record);
    const first = { ...record, seq: 0, prev: NO_PREVIOUS, sig: null };
    expect(openRecord(sealRecord(first).bytes)).toEqual(first);
  });

  const text = canonicalText(record);
  it.each([
    ["no JSON", Buffer.from(text.slice(1))],
    ["white space", Buffer.from(text.replace(",", ", "))],
    ["another order of keys", Buffer.from(JSON.stringify(record))],
    ["another version", canonicalBytes({ ...record, v: 2 })],
    ["a member too many", canonicalBytes({ ...record, more: 1 })],
    ["a member too few", canonicalBytes(Object.fromEntries(Object.entries(record).slice(1)))],
    ["a list", Buffer.from("[]")],
    ["nothing", Buffer.alloc(0)],
    ["broken UTF-8 of the length of its replacement", brokenUtf8()],
  ])("refuses %s", (_name, bytes) => {
    expect(() => openRecord(bytes)).toThrow(expect.objectContaining({ code: "not-canonical" }));
  });

  function brokenUtf8(): Buffer {
    const bytes = canonicalBytes({ ...record, event: { lot: "L-XXX" } });
    bytes.set([0xf0, 0x9f, 0x98], bytes.indexOf("XXX"));
    return bytes;
  }
});

function hasCanonicalForm(value: unknown): boolean {
  try {
    canonicalText(value);
    return true;
  } catch {
    return false;
  }
}
