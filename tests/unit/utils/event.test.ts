import { expect, test } from 'bun:test';
import { eventIdOf, toCloudEvent, transferData } from '../../../src/utils/event.ts';

const EVENT = {
  owner: 'someone',
  type: 'account.debited.v1',
  key: 'account-1',
  sequence: 7,
  occurredAt: '2026-01-01T00:00:00.000Z',
  data: { amount: 5 },
};

test('the id is the same for every delivery of an event, and differs for every other event', () => {
  expect(eventIdOf(EVENT)).toBe('account-1:7');
  expect(eventIdOf({ ...EVENT, occurredAt: 'later' } as typeof EVENT)).toBe(eventIdOf(EVENT));
  expect(eventIdOf({ ...EVENT, sequence: 8 })).not.toBe(eventIdOf(EVENT));
});

test('a CloudEvent has all of an event but its owner', () => {
  expect(toCloudEvent(EVENT)).toEqual({
    specversion: '1.0',
    id: 'account-1:7',
    source: 'atlas',
    type: 'account.debited.v1',
    subject: 'account-1',
    time: '2026-01-01T00:00:00.000Z',
    datacontenttype: 'application/json',
    sequence: '7',
    sequencetype: 'Integer',
    data: { amount: 5 },
  });
});

test('the two events of a transfer differ only in whose account they are about', () => {
  const transfer = {
    transferId: 't',
    debitAccountId: 'from',
    creditAccountId: 'to',
    ledger: 'EUR',
    amount: 100,
    reference: null,
    metadata: { invoice: '1' },
  };
  const common = { transferId: 't', ledger: 'EUR', amount: 100, reference: null, metadata: { invoice: '1' } };
  expect(transferData('debit', transfer)).toEqual({
    ...common,
    accountId: 'from',
    counterpartyAccountId: 'to',
  });
  expect(transferData('credit', transfer)).toEqual({
    ...common,
    accountId: 'to',
    counterpartyAccountId: 'from',
  });
});
