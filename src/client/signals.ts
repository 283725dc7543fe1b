const signals = ["SIGTERM", "SIGINT"] as const;

/**
 * Closes on the first signal, and exits with 0 when that is done (1 if it failed); exits at once on a second one.
 *
 * @returns stops listening.
 */
export function closeOnSignals(close: () => Promise<void>): () => void {
  let isClosing = false;
  const onSignal = (): void => {
    if (isClosing) process.exit(1);
    isClosing = true;
    close().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  for (const signal of signals) process.on(signal, onSignal);
  return () => {
    // Once closing has begun, the second signal must still be heard.
    if (!isClosing) for (const signal of signals) process.off(signal, onSignal);
  };
}
