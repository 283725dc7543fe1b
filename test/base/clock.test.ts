import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { systemClock, VirtualClock } from "../../src/base/clock.ts";

describe("VirtualClock", () => {
  test("stands still until it is moved", () => {
    const clock = new VirtualClock(1_000);

    expect(clock.now()).toBe(1_000);
    clock.advance(500);
    expect(clock.now()).toBe(1_500);
  });

  test("fires timers in order of time, equal ones in the order they were set, each at its own moment", () => {
    const clock = new VirtualClock();
    const fired: string[] = [];
    for (const [name, at] of [
      ["late", 30],
      ["first", 10],
      ["second", 10],
      ["never", 31],
    ] as const) {
      clock.wakeAt(at, () => fired.push(`${name} at ${clock.now()}`));
    }

    clock.advance(30);

    expect(fired).toEqual(["first at 10", "second at 10", "late at 30"]);
  });

  test("fires a timer once", () => {
    const clock = new VirtualClock();
    const wake = vi.fn<() => void>();
    clock.wakeAt(5, wake);

    clock.advance(5);
    clock.advance(5);

    expect(wake).toHaveBeenCalledTimes(1);
  });

  test("fires timers that are set while it moves", () => {
    const clock = new VirtualClock();
    const moments: number[] = [];
    const again = (): void => {
      moments.push(clock.now());
      clock.wakeAt(clock.now() + 10, again);
    };
    clock.wakeAt(10, again);

    clock.advance(35);

    expect(moments).toEqual([10, 20, 30]);
  });

  test("does not fire what is due until it moves", () => {
    const clock = new VirtualClock(100);
    const wake = vi.fn<() => void>();

    clock.wakeAt(50, wake);
    expect(wake).not.toHaveBeenCalled();

    clock.advance(0);
    expect(wake).toHaveBeenCalledTimes(1);
    expect(clock.now()).toBe(100);
  });

  test("forgets a timer that is cancelled, twice or after it fired without harm", () => {
    const clock = new VirtualClock();
    const wake = vi.fn<() => void>();
    const cancelled = clock.wakeAt(5, wake);
    const fired = clock.wakeAt(6, () => undefined);

    cancelled.cancel();
    cancelled.cancel();
    clock.advance(10);
    fired.cancel();

    expect(wake).not.toHaveBeenCalled();
  });

  test("knows the next timer", () => {
    const clock = new VirtualClock();
    clock.wakeAt(20, () => undefined);
    clock.wakeAt(10, () => undefined);

    expect(clock.next()).toBe(10);
    clock.advance(20);
    expect(clock.next()).toBeUndefined();
  });

  test("can be set forward or back without firing anything", () => {
    const clock = new VirtualClock(100);
    const wake = vi.fn<() => void>();
    clock.wakeAt(200, wake);

    clock.jumpTo(300);
    expect(clock.now()).toBe(300);
    clock.jumpTo(50);

    expect(clock.now()).toBe(50);
    expect(wake).not.toHaveBeenCalled();
  });
});

describe("systemClock", () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: 1_000_000 });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("tells the time of the machine", () => {
    expect(systemClock.now()).toBe(1_000_000);
  });

  test("wakes at the moment, not before", () => {
    const wake = vi.fn<() => void>();
    systemClock.wakeAt(1_000_500, wake);

    vi.advanceTimersByTime(499);
    expect(wake).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(wake).toHaveBeenCalledTimes(1);
  });

  test("wakes for a moment in the past soon, but not at once", () => {
    const wake = vi.fn<() => void>();
    systemClock.wakeAt(0, wake);

    expect(wake).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(wake).toHaveBeenCalledTimes(1);
  });

  test("wakes at a moment further away than one timer of Node reaches", () => {
    const wake = vi.fn<() => void>();
    const years = 100 * 86_400_000;
    systemClock.wakeAt(1_000_000 + years, wake);

    vi.advanceTimersByTime(years - 1);
    expect(wake).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(wake).toHaveBeenCalledTimes(1);
  });

  test("does not wake after it was cancelled, also when it had slept a while", () => {
    const wake = vi.fn<() => void>();
    const timer = systemClock.wakeAt(1_000_000 + 3 * 3_600_000, wake);

    vi.advanceTimersByTime(2 * 3_600_000);
    timer.cancel();
    vi.advanceTimersByTime(2 * 3_600_000);

    expect(wake).not.toHaveBeenCalled();
  });

  test("keeps no process alive", () => {
    vi.useRealTimers();
    const before = process.getActiveResourcesInfo().filter((type) => type === "Timeout").length;

    const timer = systemClock.wakeAt(Date.now() + 60_000, () => undefined);

    expect(process.getActiveResourcesInfo().filter((type) => type === "Timeout")).toHaveLength(before);
    timer.cancel();
  });
});
