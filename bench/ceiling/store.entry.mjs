/** Runs in a thread of its own: stores tasks, has them run, stores their outcomes. Nothing fails, nothing else is done. */
import { parentPort, workerData } from "node:worker_threads";
import { Piscina } from "piscina";
import { readFrames } from "./frames.mjs";
import { openLayout, putOutcome, putTask } from "./layout.mjs";

const threads = 2;
const messagesPerThread = 2;
const tasksPerMessage = 128;

const layout = openLayout(workerData.path);
const pool = new Piscina({
  filename: new URL("./worker.entry.mjs", import.meta.url).href,
  name: "run",
  atomics: "async",
  minThreads: threads,
  maxThreads: threads,
  concurrentTasksPerWorker: messagesPerThread,
});

let lastKey = 0;
/** Messages for workers, in order, each with the key of its first task. */
const waiting = [];
let running = 0;
/** Set when nothing is waiting or running: resolves when the last outcome is on disk. */
let written = Promise.resolve();

function store(buffer) {
  let from = 0;
  let firstKey = lastKey + 1;
  let stored;
  readFrames(buffer, (frame, at) => {
    const key = lastKey + 1;
    if (key - firstKey === tasksPerMessage) {
      waiting.push({ firstKey, args: buffer.slice(from, at) });
      [from, firstKey] = [at, key];
    }
    lastKey = key;
    stored = putTask(layout, key, frame);
  });
  waiting.push({ firstKey, args: buffer.slice(from) });
  return stored;
}

function runNext() {
  while (running < threads * messagesPerThread && waiting.length > 0) {
    const { firstKey, args } = waiting.shift();
    running++;
    void pool.run(args, { transferList: [args] }).then((results) => {
      running--;
      runNext();
      let key = firstKey;
      readFrames(results, (outcome) => (written = putOutcome(layout, key++, outcome)));
      if (running === 0 && waiting.length === 0) void written.then(tellIdle);
    });
  }
}

function tellIdle() {
  if (running === 0 && waiting.length === 0) parentPort.postMessage({ type: "done", key: lastKey });
}

parentPort.on("message", (message) => {
  if (message === "close") {
    void Promise.all([pool.close(), layout.close()]).then(() => parentPort.close());
    return;
  }
  void store(message).then(() => parentPort.postMessage({ type: "stored" }));
  runNext();
});
