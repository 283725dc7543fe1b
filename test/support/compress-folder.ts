import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const demo = "examples/05-compress-folder/main.mjs";

/** Files of words: `count` of them, each of about `bytes`, every one different. */
export function writeFiles(folder: string, count: number, bytes: number, prefix = "file"): string[] {
  mkdirSync(folder, { recursive: true });
  return Array.from({ length: count }, (_, number) => {
    const path = join(folder, `${prefix}-${number}.txt`);
    let text = `${prefix} ${number}`;
    for (let word = number + 1; text.length < bytes; word = (word * 48_271) % 2_147_483_647)
      text += ` ${word.toString(36)}`;
    writeFileSync(path, text);
    return path;
  });
}

/** The ids that the demo has written down; each line is one. */
export const linesOf = (file: string): string[] =>
  existsSync(file)
    ? readFileSync(file, "utf8")
        .split("\n")
        .filter((line) => line !== "")
    : [];

/** Where the demo writes down what was acknowledged, what began, and what was reported as done. */
export function logsIn(folder: string) {
  const logs = { ack: join(folder, "ack.log"), run: join(folder, "run.log"), done: join(folder, "done.log") };
  const env = { OMNIQ_DEMO_ACK_LOG: logs.ack, OMNIQ_DEMO_RUN_LOG: logs.run, OMNIQ_DEMO_DONE_LOG: logs.done };
  return { ...logs, env };
}
