import { deserialize, serialize } from "node:v8";

/** For whom in a child a message is. */
export type Address = "main" | "watchdog";

const addresses = ["main", "watchdog"] as const satisfies readonly Address[];
const headSize = 5;

/** A message as it travels between processes: its length, for whom it is, and the structured clone of it. */
export function frameOf(message: unknown, address: Address = "main"): Uint8Array {
  const body = serialize(message);
  const frame = Buffer.allocUnsafe(headSize + body.length);
  frame.writeUInt32LE(body.length, 0);
  frame.writeUInt8(addresses.indexOf(address), 4);
  body.copy(frame, headSize);
  return frame;
}

/** The message in the body of a frame. */
export const messageIn = (body: Uint8Array): unknown => deserialize(body);

/** Finds the frames in what comes through a pipe, however it is cut. */
export class FrameReader {
  readonly #onFrame: (body: Uint8Array<ArrayBuffer>, address: Address) => void;
  #chunks: Uint8Array[] = [];
  #size = 0;
  /** How much has to be here before there is something to do. */
  #needed = headSize;

  /** @param onFrame told of every frame; the body is in memory of its own. */
  constructor(onFrame: (body: Uint8Array<ArrayBuffer>, address: Address) => void) {
    this.#onFrame = onFrame;
  }

  read(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    if (this.#size < this.#needed) return;
    const bytes =
      this.#chunks.length === 1
        ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
        : Buffer.concat(this.#chunks);
    let at = 0;
    for (;;) {
      const left = bytes.length - at;
      this.#needed = left < headSize ? headSize : headSize + bytes.readUInt32LE(at);
      if (left < this.#needed) break;
      const body = new Uint8Array(this.#needed - headSize);
      body.set(bytes.subarray(at + headSize, at + this.#needed));
      const address = addresses[bytes.readUInt8(at + 4)] ?? "main";
      at += this.#needed;
      this.#onFrame(body, address);
    }
    this.#chunks = at === bytes.length ? [] : [bytes.subarray(at)];
    this.#size = bytes.length - at;
  }
}
