import { createHash } from 'node:crypto';
import { z } from '@hono/zod-openapi';
import type { Exchange } from '../envelope/exchange.ts';
import type { Fields } from '../envelope/response-headers.ts';
import { compress, type Encoding, negotiateEncoding, WORTHWHILE_BYTES } from '../utils/content-encoding.ts';
import { settle } from '../utils/settle.ts';
import { matchesEtag } from './etag.ts';

/** The body in one encoding, and the fields of the responses with it and of those that leave it out. */
interface Representation {
  readonly body: Blob;
  readonly etag: string;
  readonly fields: Fields;
  readonly unchangedFields: Fields;
}

/** Content that never changes while the process runs. */
export interface StaticContentOptions {
  readonly type: string;
  /** Fields of every response with this content, by lower-case name. */
  readonly fields?: Fields;
  /** Returns the content. Called at the first request; again only if it fails. */
  load(): string | Uint8Array | Promise<string | Uint8Array>;
}

/**
 * Content that is loaded once and kept in memory, once for each encoding that was requested. A request for it reads,
 * generates, and compresses nothing. Each encoding has its own strong ETag (RFC 9110, section 8.8.3.3).
 */
export class StaticContent {
  readonly #options: StaticContentOptions;
  readonly #representations = new Map<Encoding | null, Representation | Promise<Representation>>();

  constructor(options: StaticContentOptions) {
    this.#options = options;
  }

  /** Loads the content before the first request, which would have to wait. */
  async prepare(): Promise<void> {
    await this.#in(null);
  }

  /** Responds with the content, or with 304 if the caller has it. */
  respond(request: Request, exchange: Exchange): Response | Promise<Response> {
    const encoding = negotiateEncoding(request.headers.get('accept-encoding'));
    return settle(this.#in(encoding), ({ body, etag, fields, unchangedFields }) => {
      const { responseHeaders } = exchange;
      return matchesEtag(request.headers.get('if-none-match'), etag)
        ? exchange.respond(null, 304, responseHeaders.of(unchangedFields))
        : exchange.respond(body, 200, responseHeaders.of(fields));
    });
  }

  /** Callers that arrive while a representation is made wait for it. One that failed is made again. */
  #in(encoding: Encoding | null): Representation | Promise<Representation> {
    const known = this.#representations.get(encoding);
    if (known !== undefined) return known;
    const making = encoding === null ? this.#load() : this.#encode(encoding);
    this.#representations.set(encoding, making);
    making.then(
      (made) => this.#representations.set(encoding, made),
      () => this.#representations.delete(encoding),
    );
    return making;
  }

  async #load(): Promise<Representation> {
    const { load } = this.#options;
    const content = await load();
    // Copied, since a view may be of a larger buffer.
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : new Uint8Array(content);
    return this.#represent(bytes, null);
  }

  async #encode(encoding: Encoding): Promise<Representation> {
    const plain = await this.#in(null);
    if (plain.body.size < WORTHWHILE_BYTES) return plain;
    return this.#represent(await compress(await plain.body.bytes(), encoding, 'small'), encoding);
  }

  #represent(bytes: Uint8Array<ArrayBuffer>, encoding: Encoding | null): Representation {
    const { type, fields } = this.#options;
    const etag = `"${createHash('sha256').update(bytes).digest('base64url')}"`;
    const vary = fields?.vary === undefined ? 'Accept-Encoding' : `${fields.vary}, Accept-Encoding`;
    const shared = { ...fields, etag, vary };
    return {
      // Responses share the bytes of a Blob. They would copy an array.
      body: new Blob([bytes]),
      etag,
      fields: {
        ...shared,
        'content-type': type,
        ...(encoding !== null && { 'content-encoding': encoding }),
      },
      unchangedFields: shared,
    };
  }
}

/** What a route with static content declares. */
export const STATIC_HEADERS = z.object({
  'If-None-Match': z
    .string()
    .optional()
    .openapi({ description: 'Returns 304 if the content still has this ETag.' }),
});

/** The response to a caller that has the content. */
export const UNCHANGED = { 304: { description: 'The content still has the ETag of If-None-Match' } };
