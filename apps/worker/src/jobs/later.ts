/** Aborts as `signal` does, but `ms` later. */
export function later(signal: AbortSignal, ms: number): AbortSignal {
  const aborter = new AbortController();
  const start = () => setTimeout(() => aborter.abort(), ms).unref();
  if (signal.aborted) start();
  else signal.addEventListener("abort", start, { once: true });
  return aborter.signal;
}
