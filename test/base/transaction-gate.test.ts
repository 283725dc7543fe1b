import { Worker } from "node:worker_threads";
import { once } from "node:events";
import { expect, test } from "vitest";
import { TransactionGate } from "../../src/base/transaction-gate.ts";

test("a gate that nobody is inside of is shut at once", () => {
  const gate = new TransactionGate();
  expect(gate.pass(() => 5)).toBe(5);
  expect(gate.shut(0)).toBe(true);
});

test("a transaction that fails has left", () => {
  const gate = new TransactionGate();
  expect(() =>
    gate.pass(() => {
      throw new Error("no");
    }),
  ).toThrow("no");
  expect(gate.shut(0)).toBe(true);
});

test("a gate that somebody stays inside of is not shut in time", () => {
  const gate = new TransactionGate();
  expect(gate.pass(() => gate.shut(5))).toBe(false);
});

test("a gate waits for another thread to leave", async () => {
  const gate = new TransactionGate();
  const program = `
    const { parentPort, workerData } = require("node:worker_threads");
    const cells = new Int32Array(workerData);
    Atomics.store(cells, 0, 1);
    parentPort.postMessage("inside");
    Atomics.wait(cells, 2, 0, 100);
    Atomics.store(cells, 0, 0);
    Atomics.notify(cells, 0);
  `;
  const worker = new Worker(program, { eval: true, workerData: gate.memory });
  await once(worker, "message");
  expect(gate.shut(30_000)).toBe(true);
  await worker.terminate();
});
