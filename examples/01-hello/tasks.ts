/** A task is an exported function. It runs in a worker thread, with the arguments that were stored. */
export const greet = (name: string) => `Hello, ${name}!`;
