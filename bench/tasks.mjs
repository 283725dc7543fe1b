/** The tasks that the workloads run. */

export const noop = (i) => i;

// About 1.7 ns a round: plain integer arithmetic on locals, so nothing is allocated and no memory is touched.
const roundsPerMs = 600_000;

/** Keeps a core busy for about `ms` milliseconds; how long exactly is up to the machine, but it is the same for all. */
export function hash(ms) {
  const rounds = Math.round(ms * roundsPerMs);
  let state = 1;
  for (let round = 0; round < rounds; round++) {
    state = (Math.imul(state ^ (state >>> 15), 0x85ebca6b) + round) | 0;
  }
  return state;
}

/** When its handler runs, in milliseconds since 1970 with fractions. */
export const startedAt = () => performance.timeOrigin + performance.now();
