import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import { onStopSignals } from "../../../tools/stack/signals.ts";

function listen() {
  const source = new EventEmitter();
  const heard: string[] = [];
  const clock = { now: 1000 };
  const end = onStopSignals({
    source,
    now: () => clock.now,
    stop: () => heard.push("stop"),
    kill: () => heard.push("kill"),
  });
  return { source, heard, clock, end };
}

test("the first signal stops, the second kills", () => {
  const { source, heard, clock } = listen();
  source.emit("SIGINT");
  clock.now += 2000;
  source.emit("SIGINT");
  expect(heard).toEqual(["stop", "kill"]);
});

test("the echo of a Ctrl-C that npm passes on is no second wish", () => {
  const { source, heard, clock } = listen();
  source.emit("SIGINT");
  clock.now += 100;
  source.emit("SIGINT");
  source.emit("SIGTERM");
  expect(heard).toEqual(["stop"]);
});

test.each(["SIGTERM", "SIGHUP"])("%s stops as well", (signal) => {
  const { source, heard } = listen();
  source.emit(signal);
  expect(heard).toEqual(["stop"]);
});

test("nothing is heard after the end", () => {
  const { source, heard, end } = listen();
  end();
  source.emit("SIGINT");
  expect(heard).toEqual([]);
  expect(source.eventNames()).toEqual([]);
});
