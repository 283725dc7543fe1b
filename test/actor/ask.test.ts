import { expect, test } from "vitest";
import type { ActorRef, Message, Reply } from "../../src/actor/actor.ts";
import { defineActor } from "../../src/actor/actor.ts";
import { ActorStoppedError, AskTimeoutError, MailboxFullError } from "../../src/base/errors.ts";
import type { NotebookMessage } from "./test-tree.ts";
import { child, errorOf, gate, notebook, oneForOne, startTree } from "./test-tree.ts";

type Answering = { type: "ask"; reply: Reply<string>; answer: (reply: Reply<string>) => void };

const answering = defineActor<Answering, null>({
  start: () => null,
  on: { ask: (_state, { answer, reply }) => answer(reply) },
});

function askAnswering(answer: (reply: Reply<string>) => void) {
  const run = startTree(oneForOne(child("oracle", answering)));
  const asked = run.tree.ref<Answering>("oracle").ask<string>((reply) => ({ type: "ask", reply, answer }), 100);
  return { ...run, asked };
}

test("an ask is answered with the value given to reply", async () => {
  const { asked, settle } = askAnswering((reply) => reply("yes"));

  await settle();

  expect(await asked).toBe("yes");
});

test("an ask is rejected with the error given to reply.reject", async () => {
  const refusal = new Error("no");
  const { asked, settle } = askAnswering((reply) => reply.reject(refusal));
  const error = errorOf(asked);

  await settle();

  expect(await error).toBe(refusal);
});

test("only the first answer counts", async () => {
  const { asked, settle } = askAnswering((reply) => {
    reply("first");
    reply("second");
    reply.reject(new Error("third"));
  });

  await settle();

  expect(await asked).toBe("first");
});

test("an ask may be answered after its handler has returned", async () => {
  let kept: Reply<string> | undefined;
  const { asked, settle } = askAnswering((reply) => (kept = reply));
  await settle();

  kept?.("later");

  expect(await asked).toBe("later");
});

test("an ask without an answer is rejected exactly at its deadline", async () => {
  const { asked, advance, settle } = askAnswering(() => undefined);
  let error: unknown;
  asked.catch((reason: unknown) => (error = reason));

  await advance(99);
  expect(error).toBeUndefined();
  await advance(1);
  await settle();

  expect(error).toBeInstanceOf(AskTimeoutError);
});

test("an answered ask leaves no timer behind", async () => {
  const { asked, clock, settle } = askAnswering((reply) => reply("yes"));

  await settle();
  await asked;

  expect(clock.next()).toBeUndefined();
});

test("an answer after the deadline is ignored", async () => {
  let kept: Reply<string> | undefined;
  const { asked, advance } = askAnswering((reply) => (kept = reply));
  const error = errorOf(asked);
  await advance(100);

  kept?.("too late");

  expect(await error).toBeInstanceOf(AskTimeoutError);
});

test("an ask to an actor that crashes over it is rejected with the cause", async () => {
  const { tree, settle } = startTree(oneForOne(child("a", notebook([]))));
  const cause = new Error("boom");
  const error = errorOf(tree.ref<NotebookMessage>("a").ask((reply) => ({ type: "crash", error: cause, reply }), 100));

  await settle();

  expect(await error).toBeInstanceOf(ActorStoppedError);
  expect(await error).toMatchObject({ cause });
});

test("an ask that waits behind a crash is answered by the restarted actor", async () => {
  const { tree, settle } = startTree(oneForOne(child("a", notebook([]))));
  const ref = tree.ref<NotebookMessage>("a");
  ref.tell({ type: "crash" });
  const asked = ref.ask<string>((reply) => ({ type: "echo", text: "still here", reply }), 100);

  await settle();

  expect(await asked).toBe("still here");
});

test("an ask to a stopped actor is rejected", async () => {
  const { tree, settle } = startTree(oneForOne(child("a", notebook([]))));
  void tree.stop();
  await settle();

  const asked = tree.ref<NotebookMessage>("a").ask((reply) => ({ type: "echo", text: "", reply }), 100);

  await expect(asked).rejects.toBeInstanceOf(ActorStoppedError);
});

test("an ask to an actor with a full mailbox is rejected and leaves no timer behind", async () => {
  const { tree, clock, settle } = startTree(oneForOne(child("a", notebook([], { mailboxCapacity: 1 }))));
  const ref = tree.ref<NotebookMessage>("a");
  await settle();
  ref.tell({ type: "note", text: "fills it" });

  const asked = ref.ask((reply) => ({ type: "echo", text: "", reply }), 100);

  await expect(asked).rejects.toBeInstanceOf(MailboxFullError);
  expect(clock.next()).toBeUndefined();
});

test("an ask whose handler is killed is rejected", async () => {
  const { tree, settle } = startTree(oneForOne(child("a", notebook([]))));
  const ref: ActorRef<NotebookMessage> = tree.ref("a");
  const error = errorOf(ref.ask<void>((reply) => ({ type: "wait", until: gate().opened, reply }), 100));
  await settle();

  tree.kill();

  expect(await error).toBeInstanceOf(ActorStoppedError);
});

test("an ask whose message cannot be built is rejected with that error", async () => {
  const { tree } = startTree(oneForOne(child("a", notebook([]))));
  const problem = new Error("cannot build");

  const asked = tree.ref<Message>("a").ask(() => {
    throw problem;
  }, 100);

  await expect(asked).rejects.toBe(problem);
});

test("an ask that was put aside is rejected when its actor crashes over another message", async () => {
  const { tree, asked, settle } = askAnswering(() => undefined);
  const error = errorOf(asked);
  await settle();

  tree.ref<Answering>("oracle").tell({
    type: "ask",
    reply: Object.assign(() => undefined, { reject: () => undefined }),
    answer: () => {
      throw new Error("crash");
    },
  });
  await settle();

  expect(await error).toBeInstanceOf(ActorStoppedError);
});
