import type { BodyStream } from '../../envelope/exchange.ts';

/** How long a request may take until its token is checked again. What is known about a token is up to 4 s old. */
export const TOKEN_CHECK_MS = 1000;

/**
 * A body that is read as it arrives, as long as its caller may send it. While that cannot be checked the body goes on:
 * a short outage must not end an upload that takes an hour. At its end it must be certain.
 */
export class AuthenticatedBody implements BodyStream {
  readonly #body: BodyStream;
  readonly #refusal: () => Promise<Error | null>;
  #checkedMs: number;

  /** `refusal` returns the error that refuses the caller, or null. It rejects if it cannot check. */
  constructor(body: BodyStream, startMs: number, refusal: () => Promise<Error | null>) {
    this.#body = body;
    this.#checkedMs = startMs;
    this.#refusal = refusal;
  }

  get isRead(): boolean {
    return this.#body.isRead;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const piece of this.#body) {
      if (this.#isDue) {
        const refused = await this.#refusal().catch(() => null);
        if (refused !== null) throw refused;
        this.#checkedMs = performance.now();
      }
      yield piece;
    }
    const refused = this.#isDue ? await this.#refusal() : null;
    if (refused !== null) throw refused;
  }

  get #isDue(): boolean {
    return performance.now() - this.#checkedMs > TOKEN_CHECK_MS;
  }
}
