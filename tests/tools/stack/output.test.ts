import { PassThrough, Readable, Writable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { finished } from "node:stream/promises";
import { expect, test } from "vitest";
import { onLines } from "../../../tools/stack/lines.ts";
import { createOutput, prettyLines } from "../../../tools/stack/output.ts";

const settings = { logLevel: "info" } as const;

async function written(
  pretty: ((line: string) => string) | null,
  use: (output: ReturnType<typeof createOutput>) => void,
): Promise<{ stdout: string; stderr: string }> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  use(createOutput({ stdout, stderr, pretty, settings }));
  stdout.end();
  stderr.end();
  return { stdout: (await buffer(stdout)).toString(), stderr: (await buffer(stderr)).toString() };
}

const LINE = '{"level":"warn","time":"2026-11-24T06:00:00.000Z","name":"audit","msg":"late"}';

test("off a terminal JSON lines pass through as they are, and stderr lines get their name", async () => {
  const { stdout, stderr } = await written(null, (output) => {
    output.log("audit", LINE);
    output.log("audit", "");
    output.error("fleet", "a word");
  });
  expect(stdout).toBe(`${LINE}\n`);
  expect(stderr).toBe("[fleet] a word\n");
});

test("on a terminal they are made readable under a coloured name", async () => {
  const { stdout } = await written(await prettyLines(), (output) => {
    output.log("audit", LINE);
    output.log("audit", "no JSON");
  });
  const [first = "", second = ""] = stdout.split("\n");
  expect(first.startsWith("\u001B[36m[audit]")).toBe(true);
  expect(first).toMatch(/WARN.*late/);
  expect(first).not.toContain("{");
  expect(second).toContain("no JSON");
});

test("each name has its own colour and keeps it", async () => {
  const { stdout } = await written(
    (line) => line,
    (output) => {
      for (const name of ["audit", "fleet", "audit"]) output.log(name, "x");
    },
  );
  const [first, second, third] = stdout.split("\n");
  expect(third).toBe(first);
  expect(second?.slice(0, 5)).not.toBe(first?.slice(0, 5));
});

test("the stack's own notes look like everybody's log lines", async () => {
  const { stdout } = await written(null, (output) => output.note("warn", "fleet ended"));
  expect(JSON.parse(stdout)).toMatchObject({
    level: "warn",
    name: "stack",
    msg: "fleet ended",
    time: expect.any(String),
  });
});

test("a reader that goes away costs its lines and nothing else", async () => {
  const broken = new Writable({ write: (_chunk, _encoding, done) => done(new Error("EPIPE")) });
  const output = createOutput({ stdout: broken, stderr: new PassThrough(), pretty: null, settings });
  output.log("audit", LINE);
  await expect(finished(broken)).rejects.toThrow("EPIPE");
  expect(() => output.log("audit", LINE)).not.toThrow();
});

test("lines are put together from whatever pieces they come in", async () => {
  const lines: string[] = [];
  const bytes = Buffer.from("one\ntwo é\r\nthree\u2028still three\nlast");
  const stream = Readable.from([...bytes].map((byte) => Buffer.from([byte])));
  onLines(stream, (line) => lines.push(line));
  await finished(stream);
  expect(lines).toEqual(["one", "two é", "three\u2028still three", "last"]);
});

test("a line that never ends is cut", async () => {
  const lines: string[] = [];
  const stream = Readable.from([Buffer.alloc(1024 * 1024, "x"), Buffer.from("yz"), Buffer.from("end\n")]);
  onLines(stream, (line) => lines.push(line));
  await finished(stream);
  expect(lines.map((line) => line.length)).toEqual([1024 * 1024 + 2, 3]);
});
