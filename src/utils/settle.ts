/**
 * Applies `done` to a value immediately, or to a promise once it resolves. This keeps the pipeline synchronous where
 * the handler is: an `async` function costs a promise and a turn of the event loop even if it awaits nothing.
 */
export function settle<T, R>(value: T | Promise<T>, done: (value: T) => R | Promise<R>): R | Promise<R> {
  return value instanceof Promise ? value.then(done) : done(value);
}
