import { Duplex } from "node:stream";
import type { WebSocket } from "ws";

/** ws's code of a message over `maxPayload` (lib/receiver.js). */
const TOO_LARGE = "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH";

type WriteDone = (error?: Error | null) => void;

/** What ws 8 keeps per connection beyond its published interface (lib/websocket.js, lib/receiver.js). */
type Receiving = { _receiver?: { _maxPayload: number } };

/**
 * An MQTT connection over a WebSocket as the byte stream that the broker reads and writes. Unlike the stream that ws
 * offers it carries the peer's address, and what is written in one turn leaves as one WebSocket message.
 */
export class WebSocketConnection extends Duplex {
  readonly remoteAddress: string;
  readonly transport = "websocket";
  /** Of all messages, as a socket has it. */
  bytesRead = 0;
  readonly #socket: WebSocket;
  #tellTooLarge: () => void = () => {};

  constructor(socket: WebSocket, remoteAddress: string) {
    super();
    this.remoteAddress = remoteAddress;
    this.#socket = socket;
    socket.on("message", (data, isBinary) => this.#receive(data as Buffer, isBinary));
    // Not destroyed here: a DISCONNECT that is not read yet must still be read, or the will would be published.
    socket.once("close", () => this.push(null));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === TOO_LARGE) this.#tellTooLarge();
      this.destroy(error);
    });
  }

  /** `listener` is called when a message beyond the bound is announced; nothing of it is kept. */
  onTooLarge(listener: () => void): void {
    this.#tellTooLarge = listener;
  }

  /** Sets the longest WebSocket message that is taken in from now on; one message may hold many MQTT packets. */
  limitMessages(bytes: number): void {
    const { _receiver: receiver } = this.#socket as unknown as Receiving;
    if (receiver !== undefined) receiver._maxPayload = bytes;
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: WriteDone): void {
    this.#send(chunk, done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: WriteDone): void {
    this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk)), done);
  }

  override _final(done: WriteDone): void {
    this.#socket.close(NORMAL_CLOSURE);
    done();
  }

  override _destroy(error: Error | null, done: WriteDone): void {
    // What waits for a reader that does not read is let go of with it.
    if (error === null && this.#socket.bufferedAmount === 0) this.#socket.close(NORMAL_CLOSURE);
    else this.#socket.terminate();
    done(error);
  }

  /** MQTT travels in binary frames [MQTT-6.0.0-1]. */
  #receive(data: Buffer, isBinary: boolean): void {
    if (!isBinary) {
      this.destroy(new Error("a WebSocket message that is not binary"));
      return;
    }
    this.bytesRead += data.length;
    if (!this.push(data)) this.#socket.pause();
  }

  #send(bytes: Buffer, done: WriteDone): void {
    if (this.#socket.readyState !== this.#socket.OPEN) {
      done(new Error("the WebSocket is closed"));
      return;
    }
    this.#socket.send(bytes, { binary: true, compress: false }, done);
  }
}

/** RFC 6455 §7.4.1. */
const NORMAL_CLOSURE = 1000;
