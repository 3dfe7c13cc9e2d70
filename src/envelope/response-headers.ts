/** Header fields by name. */
export type Fields = Readonly<Record<string, string>>;

const JSON_FIELDS: Fields = { 'content-type': 'application/json' };
const NONE: Fields = {};

/**
 * Prebuilt headers of responses: what all of them have in common, and what each kind adds. On Bun a `Headers` object is
 * the cheapest way to construct a response, which copies it.
 *
 * The objects are shared. Set on one only what every response sets, and construct the response before the next `await`.
 */
export class ResponseHeaders {
  /** For a JSON body. */
  readonly json: Headers;
  /** For no body. */
  readonly empty: Headers;
  readonly #common: Fields;
  readonly #prebuilt = new WeakMap<Fields, Headers>();
  readonly #extended = new WeakMap<Fields, ResponseHeaders>();

  /** `common` are the fields of every response. */
  constructor(common: Fields = {}) {
    this.#common = common;
    this.json = this.of(JSON_FIELDS);
    this.empty = this.of(NONE);
  }

  /** Returns the headers with the fields of one kind of response. Pass the same object for every response of a kind. */
  of(fields: Fields): Headers {
    const known = this.#prebuilt.get(fields);
    if (known !== undefined) return known;
    const headers = new Headers({ ...this.#common, ...fields });
    this.#prebuilt.set(fields, headers);
    return headers;
  }

  /** Returns prebuilt headers that have some fields more in common. Pass the same object each time. */
  with(fields: Fields): ResponseHeaders {
    const known = this.#extended.get(fields);
    if (known !== undefined) return known;
    const extended = new ResponseHeaders({ ...this.#common, ...fields });
    this.#extended.set(fields, extended);
    return extended;
  }
}

/** Headers with nothing in common. */
export const PLAIN_HEADERS = new ResponseHeaders();
