import { expect, test } from 'bun:test';
import { AtlasError } from '../../../../../src/errors.ts';
import { fromWire, toWire } from '../../../../../src/features/ledger/transfers/host-committer-protocol.ts';

const sent = (error: unknown) => fromWire(JSON.parse(JSON.stringify(toWire(error))));

test('an error of Atlas arrives with what its worker logs: the cause, and what an operator must do', () => {
  const cause = new Error('relation "accounts" does not exist');
  const error = new AtlasError('dependency_unavailable', 'PostgreSQL is not set up for this request.', {
    cause,
    remedy: 'Run `npm run migrate`.',
    retryAfterSeconds: 10,
  });
  const arrived = sent(error) as AtlasError;
  expect(arrived).toBeInstanceOf(AtlasError);
  expect(arrived).toMatchObject({
    code: 'dependency_unavailable',
    message: error.message,
    retryAfterSeconds: 10,
    remedy: error.remedy,
  });
  expect(arrived.cause).toMatchObject({ message: cause.message });
});

test('an error without them arrives without them', () => {
  const arrived = sent(new AtlasError('queue_full', 'Full.')) as AtlasError;
  expect([arrived.code, arrived.cause, arrived.remedy]).toEqual(['queue_full', undefined, undefined]);
});

test('an unexpected error arrives with its stack', () => {
  const error = new Error('unexpected');
  expect(sent(error)).not.toBeInstanceOf(AtlasError);
  expect(sent(error)).toMatchObject({ message: 'unexpected', stack: error.stack! });
});
