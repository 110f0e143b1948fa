import { isIP, isIPv6 } from "node:net";

/** What of a request or connection says where it comes from. */
export type Origin = { remote: string | undefined; forwardedFor: string | undefined };

/**
 * Who asks, for limits: the address of the connection, or the one that a proxy of ours names last in `x-forwarded-for`.
 * What others write there is not looked at. Of an IPv6 address the network (64 bits), since who has one address has all
 * of them.
 *
 * @param proxies - addresses as {@link plainAddress} has them.
 */
export function callerOf({ remote = "", forwardedFor = "" }: Origin, proxies: ReadonlySet<string>): string {
  const address = plainAddress(remote);
  if (!proxies.has(address)) return networkOf(address);
  const named = forwardedFor.split(",").map((part) => plainAddress(part.trim()));
  // From the end: what stands before an address that is none of our proxies, its sender has written.
  const caller = named.findLast((one) => !proxies.has(one)) ?? address;
  return networkOf(isIP(caller) === 0 ? address : caller);
}

/** An IPv4 address that came by IPv6 as IPv4, others as they are; without the interface. */
export function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
}

function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [front = "", back = ""] = address.split("::");
  const [before, after] = [front, back].map((half) => half.split(":").filter((group) => group !== "")) as [
    string[],
    string[],
  ];
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => "0");
  const groups = [...before, ...zeros, ...after].slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${groups.join(":")}::/64`;
}
