import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { Hono } from 'hono';
import { getPath } from 'hono/utils/url';
import { decodeParameters, rawParameters } from '../../../src/http/path-parameters.ts';

const PATTERNS = ['/v1/files/{id}', '/v1/webhooks/{id}/deliveries/{deliveryId}/replay', '/{realm}/{id}'];

/** A request as it arrives from a socket. A real `Request` would normalize the path. */
const rawRequest = (path: string) =>
  ({ method: 'GET', url: `http://atlas.test${path}`, headers: new Headers() }) as Request;

const value = fc.oneof(
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }).map(encodeURIComponent),
  fc.webSegment().filter((text) => text !== ''),
  fc.constantFrom(
    '%2F',
    '%',
    '%zz',
    '%ff',
    '%ED%A0%80',
    '%25',
    '%2561',
    'é',
    '%e9',
    ';',
    '..',
    ':id',
    '{id}',
  ),
);

const isDecodable = (text: string) => {
  try {
    return decodeURIComponent(text) !== undefined;
  } catch {
    return false;
  }
};

test('parameters are those that Hono reads, for any path, or refused if they are not percent-encoded UTF-8', async () => {
  let read = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...PATTERNS),
      fc.array(value, { minLength: 2 }),
      async (pattern, values) => {
        let i = 0;
        const request = rawRequest(pattern.replaceAll(/\{\w+\}/g, () => values[i++ % values.length]!));
        const hono = new Hono();
        hono.get(pattern.replaceAll(/\{(\w+)\}/g, ':$1'), (c) => {
          read++;
          const raw = rawParameters(pattern, getPath(request));
          const isValid = Object.values(raw).every(isDecodable);
          if (isValid) expect(decodeParameters({ ...raw })).toEqual(c.req.param() as Record<string, string>);
          else expect(() => decodeParameters({ ...raw })).toThrow('The URL is not percent-encoded UTF-8');
          return c.body(null);
        });
        await hono.fetch(request);
      },
    ),
    { numRuns: 1000, seed: 8 },
  );
  expect(read).toBeGreaterThan(700);
});

test('a pattern without parameters has none', () => {
  expect(rawParameters('/v1/ping', '/v1/ping')).toEqual({});
});
