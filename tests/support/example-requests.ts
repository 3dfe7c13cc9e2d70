import { expect } from 'bun:test';
import { seed } from '../../src/cli/seed.ts';
import { relayAll } from './event-steps.ts';
import type { TestApp } from './test-app.ts';

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required?: boolean;
  readonly example?: unknown;
  readonly schema: { readonly example?: unknown; readonly enum?: readonly unknown[] };
}

interface Document {
  readonly operationId: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly example?: unknown }>> };
  readonly security: readonly { readonly apiKey?: readonly [string] }[];
}

/** An operation of the contract, and the request that its examples describe. */
export interface Example {
  readonly operationId: string;
  /** The scope that it requires; null for everybody. */
  readonly scope: string | null;
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Whether it takes an Idempotency-Key, even if it does not require one. */
  readonly takesKey: boolean;
  readonly body?: string;
}

/** A link is signed, so the requests of these cannot be written down. */
export const BY_LINK = ['uploadByLink', 'downloadByLink'];

/** Tokens in mails work once, so the requests of these cannot be written down either. */
export const BY_MAIL = ['confirmAddress', 'completePasswordReset', 'acceptInvitation'];
/** They need the second factor of a user, and all but one a code that works once. */
export const BY_CODE = [
  'confirmSecondFactor',
  'removeSecondFactor',
  'replaceRecoveryCodes',
  'resetSecondFactor',
];

/** They need a provider, and somebody who signs in there, or did. */
export const BY_PROVIDER = [
  'signInThroughProvider',
  'finishProviderSignIn',
  'completeProviderSignIn',
  'unlinkIdentity',
];

/** Does not end. */
export const STREAM = 'streamEvents';

/** Creates the demo data, as its examples presume. */
export async function seedDemo(atlas: TestApp): Promise<void> {
  await seed(atlas.features);
  await seed(atlas.features);
  await relayAll(atlas);
}

/** Returns each operation as a form sends it that is filled with the examples of the contract, and nothing else. */
export async function readExamples(atlas: TestApp): Promise<Example[]> {
  const response = await atlas.call('GET', '/openapi.json');
  const { paths } = (await response.json()) as { paths: Record<string, Record<string, Document>> };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => exampleOf(method.toUpperCase(), path, operation)),
  );
}

function exampleOf(method: string, path: string, operation: Document): Example {
  const { operationId, security, parameters = [], requestBody } = operation;
  const headers: Record<string, string> = {};
  const query = new URLSearchParams();
  let target = path;
  for (const { name, in: place, required, example, schema } of parameters) {
    const value = example ?? schema.example ?? (required ? schema.enum?.[0] : undefined);
    if (required && !BY_LINK.includes(operationId))
      expect({ operationId, name, value }).not.toMatchObject({ value: undefined });
    if (value === undefined) continue;
    if (place === 'path') target = target.replace(`{${name}}`, encodeURIComponent(String(value)));
    if (place === 'query') query.set(name, String(value));
    if (place === 'header') headers[name] = String(value);
  }
  const [[type, media] = []] = Object.entries(requestBody?.content ?? {});
  if (type !== undefined) headers['Content-Type'] = type;
  const body = media && (type === 'application/json' ? JSON.stringify(media.example) : String(media.example));
  return {
    operationId,
    scope: security[0]?.apiKey?.[0] ?? null,
    method,
    path: `${target}${query.size > 0 ? `?${query}` : ''}`,
    headers,
    takesKey: parameters.some(({ name }) => name === 'Idempotency-Key'),
    ...(body !== undefined && { body }),
  };
}
