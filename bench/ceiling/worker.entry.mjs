/** Runs in a thread of the pool: calls a no-op for every frame of arguments, and gives a frame for every result. */
import { move } from "piscina";
import { noop } from "../tasks.mjs";
import { packFrames, readFrames, unpack } from "./frames.mjs";

export function run(args) {
  const results = [];
  readFrames(args, (frame) => results.push(noop(...unpack(frame))));
  return move(packFrames(results));
}
