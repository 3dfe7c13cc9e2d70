/**
 * Applies `done` to a value now if it is there now, else when it comes. The pipeline stays synchronous where the handler
 * is: an `async` function costs a promise and a turn of the loop even when nothing was awaited.
 */
export function settle<T, R>(value: T | Promise<T>, done: (value: T) => R | Promise<R>): R | Promise<R> {
  return value instanceof Promise ? value.then(done) : done(value);
}
