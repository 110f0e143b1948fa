/** Bytes of MQTT 3.1.1 packets made by hand, so that they can be wrong. */

/** A two-byte length and the bytes of a text (§1.5.3); of bytes as they are, so that they need not be UTF-8. */
export function text(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
}

/** A fixed header (§2.2) with the length of `body`, or another one, and the body. */
export function frame(first: number, body: Uint8Array | number[] = [], remaining: number = body.length): Buffer {
  const length: number[] = [];
  let rest = remaining;
  do {
    const digit = rest % 128;
    rest = (rest - digit) / 128;
    length.push(rest > 0 ? digit | 0x80 : digit);
  } while (rest > 0);
  return Buffer.concat([Buffer.from([first, ...length]), Buffer.from(body)]);
}

/** CONNECT (§3.1), right unless changed. */
export function connectBytes(
  o: {
    protocol?: string;
    level?: number;
    /** Connect flags as they are; by default clean session, and user name and password when they are given. */
    flags?: number;
    clientId?: string | Uint8Array;
    user?: string | Uint8Array;
    password?: string;
    /** Bytes between client id and user name: a will. */
    will?: Uint8Array;
    trailing?: Uint8Array;
  } = {},
): Buffer {
  const { user, password } = o;
  const flags = o.flags ?? 0x02 | (user === undefined ? 0 : 0x80) | (password === undefined ? 0 : 0x40);
  const parts: Uint8Array[] = [text(o.protocol ?? "MQTT"), Buffer.from([o.level ?? 4, flags, 0, 0])];
  parts.push(text(o.clientId ?? "raw"), o.will ?? Buffer.alloc(0));
  if (user !== undefined) parts.push(text(user));
  if (password !== undefined) parts.push(text(password));
  return frame(0x10, Buffer.concat([...parts, o.trailing ?? Buffer.alloc(0)]));
}

/** PUBLISH (§3.3). The packet id stands there only when given. */
export function publishBytes(
  topic: string | Uint8Array,
  o: { first?: number; id?: number; payload?: string } = {},
): Buffer {
  const id = o.id === undefined ? [] : [o.id >> 8, o.id & 0xff];
  return frame(o.first ?? 0x30, Buffer.concat([text(topic), Buffer.from(id), Buffer.from(o.payload ?? "x")]));
}

/** SUBSCRIBE (§3.8) or, without options, UNSUBSCRIBE (§3.10). */
export function subscribeBytes(
  filters: [string | Uint8Array, number?][],
  o: { first?: number; id?: number } = {},
): Buffer {
  const id = o.id ?? 1;
  const parts = filters.map(([filter, qos]) =>
    Buffer.concat([text(filter), Buffer.from(qos === undefined ? [] : [qos])]),
  );
  return frame(o.first ?? 0x82, Buffer.concat([Buffer.from([id >> 8, id & 0xff]), ...parts]));
}
