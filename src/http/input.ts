import { z } from '@hono/zod-openapi';
import { Context } from 'hono';
import { getPath } from 'hono/utils/url';
import type { Exchange } from '../envelope/exchange.ts';
import { AtlasError, type InputError } from '../errors.ts';
import { pointerStep } from '../utils/json-pointer.ts';
import { describeIssue } from './describe-issue.ts';
import { readJson } from './json-body.ts';
import { decodeParameters, rawParameters } from './path-parameters.ts';
import { percentDecode } from './percent-decode.ts';

/** The context of Hono. Its env is the exchange. */
export type AtlasContext = Context<{ Bindings: Exchange }>;

/** The validated input of a request. */
export class Input<P, Q, H, B> {
  readonly request: Request;
  readonly exchange: Exchange;
  params!: P;
  query!: Q;
  headers!: H;
  body!: B;
  #context: AtlasContext | undefined;

  constructor(request: Request, exchange: Exchange) {
    this.request = request;
    this.exchange = exchange;
  }

  /** The context of Hono, for responses that the exchange does not make. Created on first use: most never need it. */
  get c(): AtlasContext {
    if (this.#context === undefined) {
      const path = getPath(this.request);
      const matched = [undefined as never, rawParameters(this.exchange.route.pattern, path)] as const;
      this.#context = new Context(this.request, { env: this.exchange, path, matchResult: [[[...matched]]] });
    }
    return this.#context;
  }
}

/** The schemas of the input of a route. */
export interface InputSchemas {
  readonly path: string;
  readonly params?: z.ZodType | undefined;
  readonly query?: z.ZodType | undefined;
  readonly headers?: z.ZodType | undefined;
  readonly body?: z.ZodType | undefined;
}

/** Returns the function that reads and validates the input of a route, or null if the route declares none. */
export function validation({
  path,
  params,
  query,
  headers,
  body,
}: InputSchemas): ((input: Input<unknown, unknown, unknown, unknown>) => void) | null {
  if ([params, query, headers, body].every((schema) => schema === undefined)) return null;
  const headerNames = headers instanceof z.ZodObject ? Object.keys(headers.shape) : [];
  return (input) => {
    const { request, exchange } = input;
    if (params !== undefined) {
      const values = decodeParameters(rawParameters(path, getPath(request)));
      input.params = check(params, values, '/path');
    }
    if (query !== undefined) input.query = check(query, queryOf(request.url), '/query');
    if (headers !== undefined) input.headers = check(headers, headersOf(headerNames, request), '/headers');
    if (body !== undefined) {
      const type = request.headers.get('content-type');
      input.body = check(body, readJson(type, exchange.bufferedBody), '');
    }
  };
}

function queryOf(url: string): Record<string, string | string[]> {
  const values: Record<string, string | string[]> = Object.create(null);
  const text = url.slice((url.indexOf('?') >>> 0) + 1);
  // Beyond what is checked here, URLSearchParams is lenient: it replaces what it cannot decode.
  if (text.includes('%')) for (const part of text.split('&')) requireDecodable(part);
  for (const [name, value] of new URLSearchParams(text)) {
    // Schemas that allow other names drop this one unseen.
    if (name === '__proto__') throw mismatch([{ pointer: `/query/${name}`, detail: 'is unknown' }]);
    const previous = values[name];
    if (previous === undefined) values[name] = value;
    else if (Array.isArray(previous)) previous.push(value);
    else values[name] = [previous, value];
  }
  return { ...values };
}

function requireDecodable(part: string): void {
  const [name = ''] = new URLSearchParams(part).keys();
  percentDecode(part, `/query/${pointerStep(name)}`);
}

/** An empty header is the same as none: `Last-Event-ID` before the first event, or the empty list that most others are. */
function headersOf(names: readonly string[], { headers }: Request): Record<string, string | undefined> {
  return Object.fromEntries(names.map((name) => [name, headers.get(name) || undefined]));
}

// One object for all requests.
const DESCRIBED = { error: describeIssue };

/** Validates a part of the request. Throws `invalid_request` with a pointer to each mistake. */
function check(schema: z.ZodType, value: unknown, at: string): unknown {
  const result = schema.safeParse(value, DESCRIBED);
  if (result.success) return result.data;
  throw mismatch(result.error.issues.slice(0, 20).flatMap((issue) => toInputErrors(issue, at, value)));
}

function mismatch(errors: InputError[]): AtlasError {
  return new AtlasError('invalid_request', 'The request does not match its schema; see `errors`.', {
    errors,
  });
}

function toInputErrors(issue: z.core.$ZodIssue, at: string, value: unknown): InputError[] {
  const pointer = `${at}${issue.path.map((step) => `/${pointerStep(String(step))}`).join('')}`;
  if (issue.code !== 'unrecognized_keys')
    return [{ pointer, detail: isRepeated(issue, at, value) ? 'is repeated: send it once' : issue.message }];
  return issue.keys
    .slice(0, 20)
    .map((key) => ({ pointer: `${pointer}/${pointerStep(key)}`, detail: 'is unknown' }));
}

/** No parameter is a list, so several values are a repeated parameter. */
function isRepeated({ path: [name] }: z.core.$ZodIssue, at: string, value: unknown): boolean {
  return at === '/query' && Array.isArray((value as Record<PropertyKey, unknown>)[name ?? '']);
}
