/** Loopback in either family, also as IPv4 inside IPv6. */
export function isLoopback(address: string): boolean {
  return address === "::1" || /^(?:::ffff:)?127\./.test(address);
}
