/** Reads the fields of LevelDB's files. @throws RangeError where they end within one. */
export class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get ended(): boolean {
    return this.#at >= this.#bytes.length;
  }

  byte(): number {
    return this.take(1).readUInt8();
  }

  take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new RangeError("a file ends within a field");
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 49; scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw new RangeError("a number in a file is too long");
  }

  /** Bytes that are preceded by their length. */
  text(): Buffer {
    return this.take(this.varint());
  }

  /** Where a block lies. */
  handle(): { offset: number; size: number } {
    return { offset: this.varint(), size: this.varint() };
  }
}
