import { expect, test } from 'bun:test';
import { AtlasError } from '../../../../src/errors.ts';
import { AuthenticatedBody } from '../../../../src/features/identity/authenticated-body.ts';

const LONG_AGO = Number.NEGATIVE_INFINITY;
const revoked = async () => new AtlasError('unauthenticated', 'revoked');
const unavailable = () => Promise.reject(new AtlasError('dependency_unavailable', 'no database'));

/** A body of two pieces, which records whether its rest was canceled. */
function twoPieces() {
  const state = { isRead: false, isCanceled: false };
  return {
    state,
    get isRead() {
      return state.isRead;
    },
    async *[Symbol.asyncIterator]() {
      try {
        yield Buffer.from('a');
        yield Buffer.from('b');
        state.isRead = true;
      } finally {
        state.isCanceled = !state.isRead;
      }
    },
  };
}

async function read(body: AsyncIterable<Uint8Array>): Promise<string> {
  let text = '';
  for await (const piece of body) text += Buffer.from(piece).toString();
  return text;
}

test('a body that arrives at once does not check the key', async () => {
  const body = new AuthenticatedBody(twoPieces(), performance.now(), revoked);
  expect(await read(body)).toBe('ab');
  expect(body.isRead).toBe(true);
});

test('a revoked key ends a long body with its next piece, and cancels the rest', async () => {
  const source = twoPieces();
  const body = new AuthenticatedBody(source, LONG_AGO, revoked);
  await expect(read(body)).rejects.toMatchObject({ code: 'unauthenticated' });
  expect(body.isRead).toBe(false);
  expect(source.state.isCanceled).toBe(true);
});

test('a body goes on while its key cannot be checked', async () => {
  expect(await read(new AuthenticatedBody(twoPieces(), LONG_AGO, unavailable))).toBe('ab');
});

test('a body does not end well if its key cannot be checked at its end', async () => {
  const empty = { isRead: true, async *[Symbol.asyncIterator]() {} };
  const body = new AuthenticatedBody(empty, LONG_AGO, unavailable);
  await expect(read(body)).rejects.toMatchObject({ code: 'dependency_unavailable' });
});
