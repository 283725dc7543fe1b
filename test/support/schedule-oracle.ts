/**
 * What triggers should do, found out by looking at every minute. Written from the rule for daylight saving alone; nothing
 * here comes from the sources or from what they import.
 *
 * The rule. A fixed time (one minute, one hour) that clocks leap over comes at the end of the leap, and one that they show
 * twice comes the first time. Lists, steps and wildcards come whenever clocks show them.
 */

const minuteMs = 60_000;
const hourMs = 3_600_000;
const dayMs = 86_400_000;

/** One minute, and what clocks show in it, as if that were UTC. */
interface Minute {
  readonly moment: number;
  readonly wall: number;
}

/** What a trigger describes, without any zone. */
export interface Described {
  readonly fitsDay: (date: Date) => boolean;
  readonly fitsTime: (hour: number, minute: number) => boolean;
  /** Minutes of the day, where all times are fixed. */
  readonly fixed?: readonly number[];
}

/** How the rule may be broken, to see whether anybody would notice. */
export interface Broken {
  readonly gap?: "skips fixed times";
  readonly overlap?: "repeats fixed times" | "drops the second pass";
}

const clocks = new Map<string, Intl.DateTimeFormat>();

export function wallAt(zone: string, moment: number): number {
  const clock =
    clocks.get(zone) ??
    new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
  clocks.set(zone, clock);
  const [month = 0, day, year = 0, hour, minute, second] = (clock.format(moment).match(/\d+/g) ?? []).map(Number);
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

/** The moments from `from` to `to` at which clocks in the zone are put forward or back. */
export function changesOf(zone: string, from: number, to: number): number[] {
  const offset = (moment: number): number => wallAt(zone, moment) - moment;
  const changes: number[] = [];
  for (let day = from; day < to; day += dayMs) {
    if (offset(day) === offset(day + dayMs)) continue;
    let [before, after] = [day, day + dayMs];
    while (after - before > minuteMs) {
      const middle = before + Math.floor((after - before) / 2 / minuteMs) * minuteMs;
      if (offset(middle) === offset(before)) before = middle;
      else after = middle;
    }
    changes.push(after);
  }
  return changes;
}

/** Every minute from `from` to `to`. */
export function minutesOf(zone: string, from: number, to: number): Minute[] {
  const minutes: Minute[] = [];
  for (let moment = from; moment <= to; moment += minuteMs) minutes.push({ moment, wall: wallAt(zone, moment) });
  return minutes;
}

/** The slots in `minutes`, in order. */
export function slotsOf(described: Described, minutes: readonly Minute[], broken: Broken = {}): number[] {
  const found = new Set<number>();
  if (described.fixed === undefined) {
    const shown = new Set<number>();
    for (const { moment, wall } of minutes) {
      const time = new Date(wall);
      if (!described.fitsDay(time) || !described.fitsTime(time.getUTCHours(), time.getUTCMinutes())) continue;
      if (broken.overlap !== "drops the second pass" || !shown.has(wall)) found.add(moment);
      shown.add(wall);
    }
  } else {
    const first = Math.floor((minutes[0]?.wall ?? 0) / dayMs) * dayMs;
    const last = minutes.at(-1)?.wall ?? 0;
    for (let day = first; day <= last; day += dayMs) {
      if (!described.fitsDay(new Date(day))) continue;
      for (const time of described.fixed) {
        for (const moment of momentsOf(day + time * minuteMs, minutes, broken)) found.add(moment);
      }
    }
  }
  return [...found].sort((one, other) => one - other);
}

function momentsOf(wall: number, minutes: readonly Minute[], broken: Broken): number[] {
  const shown = minutes.filter((minute) => minute.wall === wall).map(({ moment }) => moment);
  if (shown.length > 0) return broken.overlap === "repeats fixed times" ? shown : shown.slice(0, 1);
  if (broken.gap === "skips fixed times") return [];
  const leap = minutes.findIndex((minute, index) => {
    const before = minutes[index - 1];
    return before !== undefined && before.wall < wall && wall < minute.wall;
  });
  return leap === -1 ? [] : [minutes[leap]?.moment ?? 0];
}

// ------------------------------------------------------------------------------------------------- cron

const months = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const weekdays = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/** What five fields describe. */
export function describeCron(expression: string): Described {
  const [minute = "", hour = "", monthDay = "", month = "", weekday = ""] = expression.toUpperCase().split(" ");
  const minutes = numbers(minute, 0, 59);
  const hours = numbers(hour, 0, 23);
  const inMonth = numbers(named(month, months, 1), 1, 12);
  const both = weekday.startsWith("+");
  const isWeekday = weekdayRule(both ? weekday.slice(1) : weekday);
  const isMonthDay = monthDayRule(monthDay);
  const isOne = minutes.size === 1 && hours.size === 1 && !/[*/]/.test(minute + hour);
  return {
    fitsDay(date) {
      if (!inMonth.has(date.getUTCMonth() + 1)) return false;
      if (both || monthDay === "*" || weekday === "*") return isMonthDay(date) && isWeekday(date);
      return isMonthDay(date) || isWeekday(date);
    },
    fitsTime: (atHour, atMinute) => hours.has(atHour) && minutes.has(atMinute),
    ...(isOne ? { fixed: [...hours].map((one) => one * 60 + ([...minutes][0] ?? 0)) } : {}),
  };
}

const named = (field: string, names: readonly string[], first: number): string =>
  names.reduce((text, name, index) => text.replaceAll(name, String(index + first)), field);

function numbers(field: string, lowest: number, highest: number): Set<number> {
  const found = new Set<number>();
  for (const part of field.split(",")) {
    const [range = "", step = "1"] = part.split("/");
    const [from = 0, to = from] = range === "*" ? [lowest, highest] : range.split("-").map(Number);
    for (let number = from; number <= to; number += Number(step)) found.add(number);
  }
  return found;
}

const lengthOf = (date: Date): number =>
  new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();

function monthDayRule(field: string): (date: Date) => boolean {
  const rules = field.split(",").map((part) => {
    if (part === "L") return (date: Date) => date.getUTCDate() === lengthOf(date);
    if (part === "LW") return (date: Date) => date.getUTCDate() === nearWeekday(date, lengthOf(date));
    if (part.endsWith("W")) return (date: Date) => date.getUTCDate() === nearWeekday(date, Number.parseInt(part, 10));
    const days = numbers(part, 1, 31);
    return (date: Date) => days.has(date.getUTCDate());
  });
  return (date) => rules.some((rule) => rule(date));
}

/** The day from Monday to Friday that is nearest to `day`, in the month of `date`; NaN where there is no such day. */
function nearWeekday(date: Date, day: number): number {
  if (day > lengthOf(date)) return Number.NaN;
  const near = [0, -1, 1, -2, 2].map((distance) => day + distance);
  const isWorking = (one: number): boolean =>
    ![0, 6].includes(new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), one)).getUTCDay());
  return near.find((one) => one >= 1 && one <= lengthOf(date) && isWorking(one)) ?? Number.NaN;
}

function weekdayRule(field: string): (date: Date) => boolean {
  const rules = named(field.replace("-SUN", "-7"), weekdays, 0)
    .split(",")
    .map((part) => {
      const [days = "", nth = days.endsWith("L") ? "L" : undefined] = part.split("#");
      const wanted = new Set([...numbers(days.replace("L", ""), 0, 6)].map((day) => day % 7));
      return (date: Date) => {
        if (!wanted.has(date.getUTCDay())) return false;
        if (nth === "L") return date.getUTCDate() + 7 > lengthOf(date);
        return nth === undefined || Math.ceil(date.getUTCDate() / 7) === Number(nth);
      };
    });
  return (date) => rules.some((rule) => rule(date));
}

// ------------------------------------------------------------------------------------------------- others

const minutesOfDay = (time: string): number => Number(time.split(":")[0]) * 60 + Number(time.split(":")[1]);

export const describeDaily = (times: readonly string[]): Described => ({
  fitsDay: () => true,
  fitsTime: () => false,
  fixed: times.map(minutesOfDay),
});

export const describeWeekly = (days: readonly string[], time: string): Described => ({
  ...describeDaily([time]),
  fitsDay: (date) =>
    days.includes(date.toLocaleDateString("en-US", { weekday: "long", timeZone: "UTC" }).toLowerCase()),
});

export const describeMonthly = (days: readonly (number | "last")[], time: string): Described => ({
  ...describeDaily([time]),
  fitsDay: (date) => days.some((day) => date.getUTCDate() === (day === "last" ? lengthOf(date) : day)),
});

/** The first slots after `after`, where one may be years away: only days that fit are looked at by the minute. */
export function firstSlotsOf(described: Described, zone: string, after: number, count: number): number[] {
  const found: number[] = [];
  const start = Math.floor(after / dayMs) * dayMs;
  for (let day = start; found.length < count && day < start + 9 * 366 * dayMs; day += dayMs) {
    const near = [-dayMs, 0, dayMs].some((distance) => described.fitsDay(new Date(day + distance)));
    if (!near) continue;
    const slots = slotsOf(described, minutesOf(zone, day - 2 * hourMs, day + dayMs + 2 * hourMs));
    found.push(...slots.filter((slot) => slot > after && slot >= day && slot < day + dayMs));
  }
  return found.slice(0, count);
}
