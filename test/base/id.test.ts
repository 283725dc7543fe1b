import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bytesToUuid, idsFrom, newId, newIds, uuidBytes } from "../../src/base/id.ts";

test("ids are UUIDs of version 7", () => {
  expect(newId()).toMatch(/^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
});

test("every id is greater than the one before, as text and as bytes", () => {
  const ids = newIds(20_000);

  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(ids).size).toBe(20_000);
  expect(
    ids
      .map((id) => uuidBytes(id) ?? new Uint8Array())
      .toSorted(Buffer.compare)
      .map((bytes) => bytesToUuid(bytes)),
  ).toEqual(ids);
});

test("ids of many calls are greater than those of the calls before", () => {
  const ids = Array.from({ length: 2_000 }, (_, call) => newIds(call % 7)).flat();
  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(ids).size).toBe(ids.length);
});

test("ids follow each other as far as there is room", () => {
  const stem = "01900000-0000-7000-8000-0000";
  expect(idsFrom(`${stem}000000fe`, 3)).toEqual([`${stem}000000fe`, `${stem}000000ff`, `${stem}00000100`]);
  expect(idsFrom(`${stem}fffffffe`, 3)).toEqual([`${stem}fffffffe`, `${stem}ffffffff`]);
});

describe("the bytes of a text", () => {
  test.each([newId(), "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"])(
    "accepts %s",
    (text) => {
      expect(uuidBytes(text)).toHaveLength(16);
    },
  );

  test.each([
    "",
    "order-17",
    "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
    "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1}",
    "a0eebc999c0b4ef8bb6d6bb9bd380a11",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\n",
    "a0eebc99-9c0b-4ef8-bb6d6-bb9bd380a11",
  ])("does not accept %j", (text) => {
    expect(uuidBytes(text)).toBeUndefined();
  });

  test("accepts only what bytes give back as the same text", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uuid(),
          fc.uuid().map((text) => text.toUpperCase()),
          fc.string(),
        ),
        (text) => {
          const bytes = uuidBytes(text);
          if (bytes !== undefined) expect(bytesToUuid(bytes)).toBe(text);
          else expect(text.toLowerCase() !== text || text.length !== 36 || !/^[\da-f-]+$/.test(text)).toBe(true);
        },
      ),
    );
  });
});

test("16 bytes become text and the same bytes again", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      expect(new Uint8Array(uuidBytes(bytesToUuid(bytes)) ?? [])).toEqual(bytes);
    }),
  );
});

test("a UUID is read from the middle of other bytes", () => {
  const id = newId();

  expect(bytesToUuid(Uint8Array.of(1, 2, 3, ...(uuidBytes(id) ?? []), 4), 3)).toBe(id);
});
