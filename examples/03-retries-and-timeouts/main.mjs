import { Omniq } from "omniq";

const omniq = await Omniq.open({ tasks: new URL("./tasks.ts", import.meta.url), storage: "./.omniq/retries" });

// Attempts that failed are kept with the task.
const asked = await omniq.enqueue("askShop", ["tea pot"]);
console.log(await asked.result());
for (const { attempt, error } of (await asked.record()).errors) console.log(`  attempt ${attempt}: ${error.message}`);

// result() rejects with the handler's error as the cause; wait() tells how the task ended, and does not.
const order = await omniq.enqueue("orderNothing", []);
await order.result().catch((error) => console.log(`${error.code}: ${error.cause.message}`));
const { state, attempt } = await order.wait();
console.log(`${state} after attempt ${attempt}`);

// A timeout stops even an endless loop.
const stuck = await omniq.enqueue("spin", []);
const { error } = await stuck.wait();
console.log(error.cause.message);

// A task that runs is cancelled from outside.
const count = await omniq.enqueue("countStars", []);
while ((await count.state()) !== "running") await new Promise((resolve) => setTimeout(resolve, 10));
console.log(`cancelled: ${await count.cancel("the sun rises")}; it is ${(await count.wait()).state}`);

// What failed for good stays until somebody decides.
const { tasks } = await omniq.deadLetters.list();
console.log(`dead letters: ${tasks.map(({ name, reason }) => `${name} (${reason})`).join(", ")}`);
console.log(`purged: ${await omniq.deadLetters.purge()}`);

await omniq.close();
