import { currentTask, defineTask, NonRetryable } from "omniq";

/** Answers at the third attempt. */
export const askShop = defineTask("askShop", { maxRetries: 3, backoff: { delay: 50 } }, (article: string) => {
  const { attempt } = currentTask();
  if (attempt < 3) throw new Error(`the shop is busy (attempt ${attempt})`);
  return `${article}: 12 € (attempt ${attempt})`;
});

/** Knows that trying again is of no use. */
export const orderNothing = defineTask("orderNothing", { maxRetries: 3 }, () => {
  throw new NonRetryable("nothing was ordered");
});

/** Never ends. When its time is up, its thread is replaced. */
export const spin = defineTask("spin", { timeout: "200ms" }, () => {
  for (;;);
});

/** Would take an hour, and looks whether it is still wanted: that works even in a loop that never awaits. */
export const countStars = () => {
  const end = Date.now() + 3_600_000;
  let count = 0;
  while (Date.now() < end) {
    currentTask().throwIfCancelled();
    count++;
  }
  return count;
};
