/**
 * `make`, which remembers what it made for the last `limit` texts. For objects that are costly to make or to hold, and
 * that nobody changes. What `make` throws is not remembered.
 */
export function interned<T>(limit: number, make: (text: string) => T): (text: string) => T {
  const made = new Map<string, T>();
  return (text) => {
    const known = made.get(text);
    const value = known ?? make(text);
    // A Map keeps the order of insertion: what is first was not asked for the longest.
    if (known !== undefined) made.delete(text);
    else if (made.size >= limit) for (const oldest of made.keys()) if (made.delete(oldest)) break;
    made.set(text, value);
    return value;
  };
}
