import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalText } from "../../../lib/ledger/canonical.ts";
import { type LedgerRecord, NO_PREVIOUS, openRecord, sealRecord } from "../../../lib/ledger/record.ts";
import { RecordForms } from "../../../lib/ledger/record-forms.ts";
import { inputFor, signer } from "../../suites/events.ts";

const machine = signer("ipc-07");

function bytesOf(n: number, change: Partial<LedgerRecord> = {}): Buffer {
  return sealRecord({ ...inputFor(n, n % 2 === 0 ? machine : null), seq: n, prev: NO_PREVIOUS, ...change }).bytes;
}

/** What is taken of a record, or that it is refused. */
function outcomeOf(forms: RecordForms, bytes: Buffer): unknown {
  try {
    return forms.open(bytes);
  } catch (thrown) {
    return (thrown as { code?: unknown }).code;
  }
}

/** The same by `openRecord` alone. */
function expectedOf(bytes: Buffer): unknown {
  try {
    const { seq, prev, sig, event, added } = openRecord(bytes);
    const { id, src } = event as { id?: unknown; src?: { name?: unknown } };
    const source = typeof src?.name === "string" ? src.name : null;
    const signed = { text: canonicalText(event), sig, source, markedUnsigned: added.flags.includes("unsigned") };
    return { seq, prev, id: typeof id === "string" ? id : null, signed };
  } catch (thrown) {
    return (thrown as { code?: unknown }).code;
  }
}

/** Forms that have been learnt, so that what follows is put to them first. */
function learnt(): RecordForms {
  const forms = new RecordForms();
  for (let n = 0; n < 4; n += 1) forms.open(bytesOf(n));
  return forms;
}

describe("the forms of records", () => {
  it("take records whole, of forms that they know and of new ones", () => {
    const forms = new RecordForms();
    const flagged = inputFor(6, null);
    for (const bytes of [
      ...[0, 1, 2, 3].map((n) => bytesOf(n)),
      bytesOf(4, {
        event: { id: "x", src: { name: "é — ü" }, payload: { "a.b": { id: "y" }, a: ["1", 2, null, true] } },
      }),
      bytesOf(5, { event: { payload: { text: '"quoted" \\ \u0001 \u007f \u2028 😀 \ufffd' }, id: "z" } }),
      bytesOf(6, { added: { ...flagged.added, flags: ["late", "unsigned"] } }),
      bytesOf(7, { event: { "src.name": "no source", id: "i", "event.id": 1 } }),
    ]) {
      expect(outcomeOf(forms, bytes)).toEqual(expectedOf(bytes));
      expect(outcomeOf(forms, bytes)).toMatchObject({ prev: NO_PREVIOUS });
    }
  });

  it.each([
    ['"seq":0', '"seq":-0'],
    ['"seq":0', '"seq":00'],
    ['"seq":0', '"seq":0.0'],
    ['"seq":0', '"seq":1e2'],
    ['"seq":0', '"seq":9007199254740993'],
    ['"seq":0', '"seq":"0"'],
    ['"v":1,"via"', '"v":2,"via"'],
    ['"v":1,"via"', '"v":1,"v":1,"via"'],
    ['"good":0', '"good": 0'],
    ['"tz":"America', '"tz":"\\u0041merica'],
    ['"tz":"America', '"tz":"\\/America'],
    ['"tz":"America', '"tz":"A\u0001merica'],
    ['"type":"entry.created","tz"', '"tz"'],
    ['"flags":[]', '"flags":{}'],
    ['"result":"booked"', '"result":null'],
    [`"by":"ipc-07",`, `"by":7,`],
    [/\}$/, "} "],
    [/^\{/, "\ufeff{"],
  ] as [string | RegExp, string][])("judge %s made %s as openRecord does", (what, by) => {
    const text = bytesOf(0).toString("utf8");
    const changed = Buffer.from(text.replace(what, by));
    expect(changed.equals(bytesOf(0))).toBe(what instanceof RegExp ? false : !text.includes(what));
    expect(outcomeOf(learnt(), changed)).toEqual(expectedOf(changed));
  });

  it("never take bytes that are no UTF-8 for those that are", () => {
    const bytes = bytesOf(0, { event: { id: "x", src: { name: "n" }, payload: { text: "été" } } });
    const forms = learnt();
    forms.open(bytes);
    const at = bytes.indexOf("été");
    const broken = Buffer.from(bytes);
    broken.writeUInt8(0xff, at);
    expect(outcomeOf(forms, broken)).toBe("not-canonical");
    expect(forms.read(broken.toString("utf8"))).toBeNull();
  });

  it("take and refuse what openRecord does, whatever bytes are changed", () => {
    const forms = learnt();
    const change = fc.record({
      at: fc.nat(5000),
      drop: fc.nat(3),
      put: fc.oneof(
        fc.constantFrom('"', "\\", "{", "}", ",", ":", "0", "-", " ", "[", "]", "null", '"a":1,', "é", "\u0000"),
        fc.string({ maxLength: 3, unit: "binary" }),
      ),
    });
    let refused = 0;
    fc.assert(
      fc.property(fc.nat(3), fc.array(change, { minLength: 1, maxLength: 3 }), (n, changes) => {
        let bytes = bytesOf(n);
        for (const { at, drop, put } of changes) {
          const place = at % bytes.length;
          bytes = Buffer.concat([bytes.subarray(0, place), Buffer.from(put), bytes.subarray(place + drop)]);
        }
        const expected = expectedOf(bytes);
        if (typeof expected === "string") refused += 1;
        expect(outcomeOf(forms, bytes)).toEqual(expected);
      }),
      { numRuns: 4000 },
    );
    expect(refused).toBeGreaterThan(100);
    expect(refused).toBeLessThan(4000);
  });
});
