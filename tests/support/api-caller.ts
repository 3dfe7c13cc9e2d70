export interface CallOptions {
  /** Sent as the body, with `Content-Type: application/json`. */
  readonly json?: unknown;
  readonly body?: BodyInit;
  readonly headers?: Record<string, string>;
}

/** Sends requests to Atlas with an API key, whether over a socket or not: what the shared steps need. */
export interface ApiCaller {
  call(method: string, path: string, options?: CallOptions): Promise<Response>;
}

/** The body and the headers of a request with these options. */
export function requestOf(
  method: string,
  { json, body, headers }: CallOptions,
  defaults: Record<string, string>,
) {
  const sent = json === undefined ? body : JSON.stringify(json);
  const type = json === undefined ? {} : { 'Content-Type': 'application/json' };
  return { method, headers: { ...defaults, ...type, ...headers }, ...(sent !== undefined && { body: sent }) };
}
