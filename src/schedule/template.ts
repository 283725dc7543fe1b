import { readTrigger, type Trigger } from "./trigger.ts";

/** Options that templates put together instead of replacing them. */
interface Extended {
  readonly trigger?: Trigger | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * Options that several schedules share: `template({ trigger: daily("03:00"), maxRetries: 3, tags: ["nightly"] })`. A
 * schedule keeps what it took over: what becomes of the template later does not change it.
 *
 * @throws what `readTrigger` throws; the other options are checked where a schedule is made.
 */
export function template<const Options extends object>(options: Options & Extended): Readonly<Options> {
  if (options.trigger === undefined) return Object.freeze({ ...options });
  return Object.freeze({ ...options, trigger: readTrigger(options.trigger, "template.trigger") });
}

/** `options` over those of a template: tags are added, fields of metadata replaced one by one, all others as a whole. */
export function fromTemplate<Options extends object>(base: Options & Extended, options: Options & Extended): Options {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const tags = new Set([...(base.tags ?? []), ...(options.tags ?? [])]);
  const metadata = { ...base.metadata, ...options.metadata };
  return {
    ...base,
    ...given,
    ...(tags.size === 0 ? {} : { tags: [...tags] }),
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
  };
}
