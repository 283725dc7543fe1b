import { expect, test } from "vitest";
import { daily } from "../../src/schedule/daily.ts";
import { fromTemplate, template } from "../../src/schedule/template.ts";

const nightly = template({
  trigger: daily("03:00"),
  maxRetries: 3,
  tags: ["nightly"],
  metadata: { owner: "ops", level: 1 },
});

test("what a schedule says stands over its template", () => {
  expect(fromTemplate<{ maxRetries?: number }>(nightly, { maxRetries: 5 })).toMatchObject({ maxRetries: 5 });
  expect(fromTemplate<{ maxRetries?: number | undefined }>(nightly, { maxRetries: undefined })).toMatchObject({
    maxRetries: 3,
    trigger: { type: "daily", times: ["03:00"] },
  });
});

test("tags are added and metadata is put together", () => {
  const options = { tags: ["reports", "nightly"], metadata: { level: 2 } };

  expect(fromTemplate<object>(nightly, options)).toMatchObject({
    tags: ["nightly", "reports"],
    metadata: { owner: "ops", level: 2 },
  });
});

test("a template without tags and metadata gives none", () => {
  expect(fromTemplate<object>(template({ maxRetries: 1 }), {})).toEqual({ maxRetries: 1 });
});

test("a template cannot be changed, and what it was made from changes nothing", () => {
  const options = { trigger: daily("03:00"), maxRetries: 3 };
  const made = template(options);
  options.maxRetries = 9;

  expect(made.maxRetries).toBe(3);
  expect(Object.isFrozen(made)).toBe(true);
});

test("a trigger that does not read is refused", () => {
  const broken = { type: "daily" as const, times: ["25:00"] };

  expect(() => template({ trigger: broken })).toThrow(/^template\.trigger\.times\[0\]/);
});
