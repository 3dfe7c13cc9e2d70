const DEADLINE_MS = 25_000;
const POLL_MS = 5;
const LATE = Symbol('late');

export interface UntilOptions {
  /** How long to wait. The default is below the 30 s of a test, so that this error appears and not Bun's. */
  readonly deadlineMs?: number;
  /** Pause between two polls. */
  readonly pollMs?: number;
  /** What is waited for, for the error. The default is the source of the condition. */
  readonly what?: string;
  /** More to print in the error, evaluated when the deadline has passed. */
  readonly details?: () => string;
}

type Falsy = null | undefined | false | 0 | '';

/**
 * Polls a condition until it returns a truthy value, and returns that value. Errors of the condition are passed on.
 *
 * @throws {Error} After the deadline, even if the condition hangs. Names what was waited for and the last value.
 * @example const delivery = await until(async () => (await listDeliveries(atlas, id))[0]);
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  { deadlineMs = DEADLINE_MS, pollMs = POLL_MS, what = `${condition}`, details }: UntilOptions = {},
): Promise<Exclude<T, Falsy>> {
  const endMs = performance.now() + deadlineMs;
  const deadline = Promise.withResolvers<typeof LATE>();
  const timer = setTimeout(() => deadline.resolve(LATE), deadlineMs);
  let last: unknown = 'none: the condition never returned';
  try {
    do {
      const value = await Promise.race([condition(), deadline.promise]);
      if (value === LATE) break;
      if (value) return value as Exclude<T, Falsy>;
      last = value;
      await Bun.sleep(pollMs);
    } while (performance.now() < endMs);
  } finally {
    clearTimeout(timer);
  }
  const more = details === undefined ? '' : `\n${details()}`;
  throw new Error(`Not reached within ${deadlineMs} ms: ${what}\nLast value: ${Bun.inspect(last)}${more}`);
}
