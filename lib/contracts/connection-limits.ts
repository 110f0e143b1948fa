import { z } from "zod";

/** How many connections the hub takes at once. */
export type ConnectionLimits = {
  /** All of them, those that have not signed in yet among them. */
  total: number;
  /** So many of the total are not given to people: a flood of browsers must not lock machines out. */
  machines: number;
  /** From one address. */
  address: number;
  /** From one address of the hub's own machine, which its services and programs share. */
  loopback: number;
  /** Signed in under one name. */
  principal: number;
};

/** What was told; what was not has a preset, of which those of `total` and `machines` depend on the system. */
export type GivenConnectionLimits = Partial<ConnectionLimits>;

const NAMES = ["total", "machines", "address", "loopback", "principal"] as const;
const EXPECTED = `such as address=64,total=2000: ${NAMES.join(", ")}, each with a whole number from 1 to 1000000; machines below total`;

/** Reads `address=64,total=2000`; what is not named keeps its preset. */
export const ConnectionLimitsText = z.string().transform((text, context): GivenConnectionLimits => {
  const limits: GivenConnectionLimits = {};
  for (const part of text.split(",").filter((part) => part.trim() !== "")) {
    const [given = "", count = ""] = part.split("=").map((word) => word.trim());
    const name = NAMES.find((one) => one === given);
    const number = /^\d{1,7}$/.test(count) ? Number(count) : 0;
    if (name === undefined || number < 1 || number > 1_000_000) return refuse(context);
    limits[name] = number;
  }
  const { total, machines } = limits;
  return total !== undefined && machines !== undefined && machines >= total ? refuse(context) : limits;
});

function refuse(context: z.RefinementCtx): never {
  context.addIssue({ code: "custom", message: EXPECTED });
  return z.NEVER;
}
