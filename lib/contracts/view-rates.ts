import { z } from "zod";
import type { Principal } from "./directory.ts";

/** Who can be given a view rate: the profiles that look at statuses, and the console, which is a service. */
export const VIEWERS = [
  "operator",
  "supervisor",
  "coordinator",
  "analyst",
  "administrator",
  "inspector",
  "scada",
  "console",
] as const;
export type Viewer = (typeof VIEWERS)[number];

/** Statuses of one machine that a viewer gets at most, Hz; `full` for every one of them. */
export type ViewRate = number | "full";
export type ViewRates = Readonly<Record<Viewer, ViewRate>>;

/** The fastest that is still thinned; beyond it every status is sent. */
const FASTEST_HZ = 100;

/** An eye sees no more, and MQTT Explorer keeps 60 ms of history of a topic at 1 kHz. */
export const VIEW_RATES: ViewRates = {
  operator: 10,
  supervisor: 10,
  coordinator: 10,
  analyst: 10,
  administrator: 10,
  inspector: 4,
  scada: "full",
  console: 10,
};

const EXPECTED = `such as inspector=4,scada=full: ${VIEWERS.join(", ")}, each with 0.1 to ${FASTEST_HZ} Hz or full`;

/** Reads `inspector=4,console=10,scada=full`; who is not named keeps the preset of {@link VIEW_RATES}. */
export const ViewRatesText = z.string().transform((text, context): ViewRates => {
  const rates = { ...VIEW_RATES };
  for (const part of text.split(",").filter((part) => part.trim() !== "")) {
    const [viewer = "", given = ""] = part.split("=").map((word) => word.trim());
    const rate = given === "full" ? "full" : /^\d{1,3}(?:\.\d)?$/.test(given) ? Number(given) : Number.NaN;
    if (!isViewer(viewer) || (rate !== "full" && !(rate >= 0.1 && rate <= FASTEST_HZ))) {
      context.addIssue({ code: "custom", message: EXPECTED });
      return z.NEVER;
    }
    rates[viewer] = rate;
  }
  return rates;
});

/** The rate of a name. Machines and services other than the console get everything that they may read. */
export function viewRateOf(rates: ViewRates, principal: Pick<Principal, "profile" | "name">): ViewRate {
  const viewer = principal.profile === "service" ? principal.name : principal.profile;
  return isViewer(viewer) ? rates[viewer] : "full";
}

function isViewer(text: string): text is Viewer {
  return (VIEWERS as readonly string[]).includes(text);
}
