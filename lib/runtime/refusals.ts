import type { ErrorCode } from "../contracts/errors.ts";

/** Who was refused what. `principal` is a registered name or its `sub`; `address` null where none is known. */
export type Refusal<Code extends string = ErrorCode> = {
  principal: string;
  address: string | null;
  code: Code;
  detail: string;
};

/** `count` refusals of one kind between `from` and `to` (ms since 1970); `detail` is that of the latest. */
export type RefusalReport<Code extends string = ErrorCode> = Refusal<Code> & {
  count: number;
  from: number;
  to: number;
};

/** Runs `task` each `everyMs` until the returned function is called. */
export type Repeat = (task: () => void, everyMs: number) => () => void;

export type Refusals<Code extends string = ErrorCode> = {
  note(refusal: Refusal<Code>): void;
  /** Reports what is still counted, and stops. */
  close(): void;
};

const MINUTE = 60_000;

/** Under this principal everything is counted together once too many names are being told apart. */
const OTHERS = "others";

/**
 * Keeps a flood of refusals out of the book (decision 23): per principal, address and code the first is reported at
 * once, the following as one count a minute; after a minute without any, the next is a first again.
 *
 * What happens often without being refused is counted in the same way, with codes of the caller's own.
 *
 * @param o.maximumKinds - how many combinations are told apart (1,000 when left out); the rest counts as "others".
 * @param o.periodMs - the time that one count covers; a minute when left out.
 */
export function createRefusals<Code extends string = ErrorCode>(o: {
  emit: (report: RefusalReport<Code>) => void;
  now: () => number;
  repeat?: Repeat;
  maximumKinds?: number;
  periodMs?: number;
}): Refusals<Code> {
  const kinds = new Map<string, RefusalReport<Code>>();
  const period = o.periodMs ?? MINUTE;
  const maximum = o.maximumKinds ?? 1000;
  const stop = (o.repeat ?? everyMs)(flush, MINUTE / 6);

  function note(refusal: Refusal<Code>): void {
    const counted = kinds.has(keyOf(refusal)) || kinds.size < maximum ? refusal : { ...refusal, principal: OTHERS };
    const known = kinds.get(keyOf(counted));
    const now = o.now();
    if (known) {
      Object.assign(known, { count: known.count + 1, to: now, detail: counted.detail });
      return;
    }
    kinds.set(keyOf(counted), { ...counted, count: 0, from: now, to: now });
    o.emit({ ...counted, count: 1, from: now, to: now });
  }

  function flush(): void {
    for (const [key, kind] of kinds) if (o.now() - kind.from >= period) report(key, kind);
  }

  function report(key: string, kind: RefusalReport<Code>): void {
    if (kind.count === 0) {
      kinds.delete(key);
      return;
    }
    o.emit({ ...kind });
    Object.assign(kind, { count: 0, from: o.now(), to: o.now() });
  }

  return {
    note,
    close() {
      stop();
      for (const [key, kind] of kinds) report(key, kind);
      kinds.clear();
    },
  };
}

function keyOf(refusal: Refusal<string>): string {
  return JSON.stringify([refusal.principal, refusal.address, refusal.code]);
}

const everyMs: Repeat = (task, ms) => {
  const timer = setInterval(task, ms);
  timer.unref();
  return () => clearInterval(timer);
};
