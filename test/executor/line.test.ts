import fc from "fast-check";
import { expect, test } from "vitest";
import { FrameReader, frameOf, messageIn, type Address } from "../../src/executor/line.ts";

test("messages arrive as they were sent, however the pipe cuts them", () => {
  const message = fc.tuple(fc.uint8Array({ maxLength: 300 }), fc.constantFrom<Address>("main", "watchdog"));
  const cuts = fc.infiniteStream(fc.integer({ min: 1, max: 200 }));

  fc.assert(
    fc.property(fc.array(message), cuts, (messages, sizes) => {
      const bytes = Buffer.concat(messages.map(([body, address]) => frameOf({ body }, address)));
      const received: unknown[] = [];
      const reader = new FrameReader((body, address) => received.push([messageIn(body), address]));
      for (let at = 0; at < bytes.length;) {
        const { value: size } = sizes.next();
        reader.read(bytes.subarray(at, at + size));
        at += size;
      }

      expect(received).toEqual(messages.map(([body, address]) => [{ body }, address]));
    }),
  );
});

test("a body has memory of its own", () => {
  const frame = frameOf("text");
  const bodies: Uint8Array[] = [];
  new FrameReader((body) => bodies.push(body)).read(frame);
  frame.fill(0);

  expect(bodies.map(messageIn)).toEqual(["text"]);
});

test("a frame that is not whole is no message yet", () => {
  const frame = frameOf({ long: "x".repeat(1_000) });
  const bodies: Uint8Array[] = [];
  const reader = new FrameReader((body) => bodies.push(body));

  reader.read(frame.subarray(0, -1));
  expect(bodies).toEqual([]);
  reader.read(frame.subarray(-1));
  expect(bodies).toHaveLength(1);
});
