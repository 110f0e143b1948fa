import { describe, expect, it } from "vitest";
import { RastroError } from "../../../lib/contracts/errors.ts";
import { createPersonKeys, KEY_KEPT_MS } from "../../../lib/runtime/person-keys.ts";

const MARIA = `p-${"a".repeat(32)}`;
const KEY = Buffer.alloc(32, 7);

function setUp() {
  const clock = { now: 0 };
  const asked: string[] = [];
  let failing: RastroError | null = null;
  const keys = createPersonKeys({
    directory: () => ({
      async personKey(_bearer, sub) {
        asked.push(sub);
        if (failing !== null) throw failing;
        return { sub: MARIA, key: KEY.toString("base64"), name: "maria" };
      },
    }),
    bearer: () => ({ name: "production", token: "t" }),
    now: () => clock.now,
  });
  const fail = (code: "unknown_name" | "not_reachable" | null) => {
    failing = code && new RastroError({ code, message: "as the directory says" });
  };
  return { keys, clock, asked, fail };
}

describe("the keys of people", () => {
  it("are asked for once in five minutes, also by many at once", async () => {
    const { keys, clock, asked } = setUp();
    await Promise.all([keys.of(MARIA), keys.of(MARIA)]);
    clock.now = KEY_KEPT_MS - 1;
    expect(await keys.of(MARIA)).toEqual({ key: KEY, name: "maria" });
    expect(asked).toHaveLength(1);
    clock.now = KEY_KEPT_MS;
    await keys.of(MARIA);
    expect(asked).toHaveLength(2);
  });

  it("are null when there is none any more", async () => {
    const { keys, clock, fail } = setUp();
    await keys.of(MARIA);
    fail("unknown_name");
    clock.now = KEY_KEPT_MS;
    expect(await keys.of(MARIA)).toBeNull();
  });

  it("are asked for again after a failure", async () => {
    const { keys, fail } = setUp();
    fail("not_reachable");
    await expect(keys.of(MARIA)).rejects.toMatchObject({ code: "not_reachable" });
    fail(null);
    expect(await keys.of(MARIA)).toMatchObject({ name: "maria" });
  });
});
