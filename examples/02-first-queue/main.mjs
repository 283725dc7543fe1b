import { at, Omniq } from "omniq";

const omniq = await Omniq.open({ tasks: new URL("./tasks.ts", import.meta.url), storage: "./.omniq/first-queue" });

// A simple task.
const sum = await omniq.enqueue("add", [2, 3]);
console.log("2 + 3 =", await sum.result());

// Tasks for later: after a while, and at a moment.
const tea = await omniq.enqueue("remind", ["tea"], { delay: "2s" });
const cake = await omniq.enqueue("remind", ["cake"], { schedule: at(new Date(Date.now() + 3_000)) });
console.log(`tea is ${await tea.state()}, cake is ${await cake.state()}`);

// A queue of its own: one at a time, and nothing yet.
const mail = omniq.queues.get("mail");
await mail.configure({ concurrency: 1 });
await mail.pause();
const letters = [
  await omniq.enqueue("send", ["newsletter"], { queue: "mail", priority: "low" }),
  await omniq.enqueue("send", ["invoice"], { queue: "mail" }),
  await omniq.enqueue("send", ["password reset"], { queue: "mail", priority: "critical" }),
];

// A task can be looked at without being taken, and deleted.
const draft = await omniq.enqueue("send", ["draft"], { queue: "mail" });
console.log(`the draft is ${(await omniq.get(draft.id))?.state}`);
console.log(`deleted: ${await omniq.delete(draft.id)}; found again: ${(await omniq.get(draft.id)) !== undefined}`);
console.log(`waiting letters: ${await omniq.count({ queue: "mail", state: "ready" })}`);

// By priority, then by age.
const sent = letters.map(async (letter) => console.log(await letter.result()));
await mail.resume();
await Promise.all(sent);

console.log(await tea.result());
console.log(await cake.result());

await omniq.close();
