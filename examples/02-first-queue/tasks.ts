export const add = (a: number, b: number) => a + b;

export const remind = (of: string) => `Time for ${of}!`;

export const send = (letter: string) => `sent: ${letter}`;
