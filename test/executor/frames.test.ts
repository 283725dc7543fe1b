import fc from "fast-check";
import { expect, test } from "vitest";
import { packHeaders, readReports, ReportWriter, unpackHeaders, type FramedReport } from "../../src/executor/frames.ts";
import type { Metadata } from "../../src/task/task.ts";
import { newLife } from "../../src/task/task.ts";
import { aRequest } from "../support/tasks.ts";

const aText = fc.string({ unit: "grapheme" });

const anError = fc.record({ name: aText, message: aText, code: fc.oneof(aText, fc.integer()) });

const anEnd: fc.Arbitrary<FramedReport["end"]> = fc.oneof(
  fc.record({ type: fc.constant("value"), result: fc.uint8Array({ maxLength: 3_000 }) }),
  fc.record({
    type: fc.constant("fault"),
    fault: fc.record({ reason: fc.constant("error"), isRetryable: fc.boolean(), retryDelayMs: fc.nat() }),
    error: anError,
  }),
  fc.record({ type: fc.constant("stopped") }),
);

const aReport: fc.Arbitrary<FramedReport> = fc.record({
  index: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  startedAt: fc.double({ noNaN: true }),
  durationMs: fc.double({ min: 0, noNaN: true }),
  end: anEnd,
});

test("reports come out of their frames as they went in, whenever frames are taken", () => {
  fc.assert(
    fc.property(fc.array(fc.array(aReport)), (frames) => {
      const writer = new ReportWriter();
      const read = frames.map((reports) => {
        for (const { index, startedAt, durationMs, end } of reports) writer.add(index, startedAt, durationMs, end);
        const frame = writer.frame.slice();
        writer.clear();
        return readReports(frame);
      });

      expect(read).toEqual(frames);
      expect(writer.isEmpty).toBe(true);
    }),
  );
});

const aMetadata = fc.dictionary(aText, fc.jsonValue()) as fc.Arbitrary<Metadata>;

test("headers come out as they went in, shared or not", () => {
  const request = fc
    .record({ name: aText, queue: aText, tags: fc.array(aText), metadata: aMetadata, timeoutMs: fc.nat() })
    .map(aRequest);
  const batch = fc.array(request, { minLength: 1, maxLength: 3 }).chain((requests) =>
    fc.array(
      fc.record({ id: aText, request: fc.constantFrom(...requests), attempt: fc.nat() }).map((task) => ({
        id: task.id,
        request: task.request,
        life: { ...newLife(task.request), attempt: task.attempt },
        args: new Uint8Array(),
      })),
    ),
  );

  fc.assert(
    fc.property(batch, (tasks) => {
      const headers = unpackHeaders(packHeaders(tasks));

      const expected = tasks.map(({ id, life: { attempt }, request: { name, queue, tags, metadata, timeoutMs } }) => {
        return { id, attempt, request: { name, queue, tags, metadata, timeoutMs } };
      });
      // As texts, because JSON knows no -0.
      expect(JSON.stringify(headers)).toBe(JSON.stringify(expected));
    }),
  );
});

test("a request that tasks share is written once", () => {
  const request = aRequest({ metadata: { long: "x".repeat(1_000) } });
  const tasks = ["a", "b", "c"].map((id) => ({ id, request, life: newLife(request), args: new Uint8Array() }));

  expect(packHeaders(tasks).length).toBeLessThan(2_000);
});
