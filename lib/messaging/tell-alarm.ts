import { topics } from "../contracts/topics.ts";
import type { Link } from "./link.ts";

/**
 * Says on a service's topics what alarms it has raised: retained until null clears it. What cannot be told is not kept,
 * since the figures and `/readyz` have it as well.
 */
export function tellAlarmsOf(
  service: string,
  link: Pick<Link, "publish">,
): (alarm: string, state: object | null) => void {
  return (alarm, state) => {
    const text = state === null ? "" : JSON.stringify(state);
    link.publish(topics.alarm(service, alarm), text, { qos: 1, retain: true }).catch(() => undefined);
  };
}
