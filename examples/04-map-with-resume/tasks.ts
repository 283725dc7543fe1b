/** How many steps the number takes to reach 1, and which process found out. */
export const collatz = (start: number) => {
  let steps = 0;
  for (let n = start; n !== 1; n = n % 2 === 0 ? n / 2 : 3 * n + 1) steps++;
  return { steps, process: process.pid };
};
