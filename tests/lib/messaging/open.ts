import { randomBytes } from "node:crypto";
import { onTestFinished } from "vitest";
import { type Link, type LinkOptions, openLink } from "../../../lib/messaging/link.ts";
import { SILENT } from "../../support/silent.ts";

/** A link that is closed with its test. */
export function open(url: string, name: string, options: Partial<LinkOptions> = {}): Link {
  const link = openLink({ url, name, password: () => "secret", log: SILENT, random: randomBytes, ...options });
  onTestFinished(() => link.close());
  return link;
}

export async function connect(url: string, name: string, options: Partial<LinkOptions> = {}): Promise<Link> {
  const link = open(url, name, options);
  await link.whenConnected();
  return link;
}

/** Resolves at the link's next disconnection. */
export function nextDown(link: Link): Promise<void> {
  return new Promise((resolve) => link.onDown(resolve));
}

/** Resolves when the link has come up `times` more. */
export function ups(link: Link, times: number): Promise<void> {
  let left = times + (link.connected ? 1 : 0);
  return new Promise((resolve) => {
    link.onUp(() => {
      left -= 1;
      if (left === 0) resolve();
    });
  });
}
