import { Omniq } from "omniq";

/** All numbers: inputs are taken only as fast as results are. */
function* numbers() {
  for (let n = 1; ; n++) yield [n];
}

const omniq = await Omniq.open({ tasks: new URL("./tasks.ts", import.meta.url), storage: "./.omniq/map" });

// The key names an item for good: the next run finds its result instead of computing it again.
const items = omniq.map("collatz", numbers(), { key: ([n]) => String(n), concurrency: 16, ordered: true });
const counts = { computed: 0, found: 0 };
let longest = { n: 1, steps: 0 };

for await (const {
  input: [n],
  value: { steps, process: finder },
} of items) {
  if (finder === process.pid) counts.computed++;
  else counts.found++;
  if (steps > longest.steps) longest = { n, steps };
  if (n === 200) break; // ends the map; nothing more is taken from numbers()
}

console.log(`of 1 to 200, ${longest.n} takes longest: ${longest.steps} steps`);
console.log(`${counts.computed} computed now, ${counts.found} found from an earlier run`);

await omniq.close();
