/** Checked by the compiler: a promise broken here fails `tsc`, and the lines that must not compile are never run. */
import { expect, expectTypeOf, test } from "vitest";
import type { ActorRef, AnyActor, Message, Refs, Reply, Self } from "../../src/actor/actor.ts";
import { defineActor } from "../../src/actor/actor.ts";

type DoorMessage = { type: "open" } | { type: "count"; reply: Reply<number> };
type Inbox = DoorMessage | { type: "tick"; at: number };

const neverRun = (_lines: () => unknown): void => undefined;

test("a handler table that leaves out a message does not compile", () => {
  const actor = defineActor<DoorMessage, number>({
    start: () => 0,
    // @ts-expect-error count is missing
    on: { open: () => undefined },
  });

  expect(actor.on).not.toHaveProperty("count");
});

test("a handler gets the message of its type and the actor's state", () => {
  const actor = defineActor<Inbox, { opened: number }>({
    start: () => ({ opened: 0 }),
    on: {
      open: (state) => void expectTypeOf(state).toEqualTypeOf<{ opened: number }>(),
      count: (_state, message) => void expectTypeOf(message.reply).toEqualTypeOf<Reply<number>>(),
      tick: (_state, message) => void expectTypeOf(message).toEqualTypeOf<{ type: "tick"; at: number }>(),
    },
  });

  expectTypeOf(actor).toExtend<AnyActor>();
});

test("the holder of a public ref cannot send a private message", () => {
  expectTypeOf<ActorRef<Inbox>>().toExtend<ActorRef<DoorMessage>>();
  expectTypeOf<ActorRef<DoorMessage>>().not.toExtend<ActorRef<Inbox>>();
  expectTypeOf<Self<Inbox>>().toExtend<ActorRef<DoorMessage>>();
  expectTypeOf<ActorRef<Message>>().toExtend<ActorRef<DoorMessage>>();

  neverRun(() => {
    const door: ActorRef<DoorMessage> = {} as ActorRef<Inbox>;
    door.tell({ type: "open" });
    // @ts-expect-error tick is private
    door.tell({ type: "tick", at: 1 });
  });
});

test("an ask is typed by the reply of its message", () => {
  neverRun(async () => {
    const door = {} as ActorRef<DoorMessage>;
    const count = await door.ask<number>((reply) => ({ type: "count", reply }), 100);
    expectTypeOf(count).toBeNumber();
    // @ts-expect-error the reply is a number
    await door.ask<string>((reply) => ({ type: "count", reply }), 100);
  });
});

test("a ref that was looked up without a message type can send nothing", () => {
  neverRun(() => {
    const ref = {} as Refs;
    const door: ActorRef<DoorMessage> = ref("door");
    door.tell({ type: "open" });
    // @ts-expect-error no message type is known
    ref("door").tell({ type: "open" });
  });
});
