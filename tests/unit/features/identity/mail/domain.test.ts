import { describe, expect, test } from 'bun:test';
import {
  contentOf,
  decide,
  LEASE_MS,
  type MailResult,
} from '../../../../../src/features/identity/mail/domain.ts';

const HOUR_MS = 3_600_000;
const deferred: MailResult = { outcome: 'deferred', status: '451 4.7.1' };
const waitsOf = (expiresInMs: number) =>
  [1, 2, 3, 4, 8, 19].map((tries) => decide(deferred, { tries, expiresInMs }, 0.5).waitMs / 1000);

describe('after an attempt', () => {
  test('a mail that was sent has ended', () => {
    const outcome = decide({ outcome: 'sent' }, { tries: 20, expiresInMs: 1 }, 0.5);
    expect(outcome).toEqual({ state: 'sent', waitMs: 0, failure: null });
  });

  test('a mail that was rejected is given up at once', () => {
    const outcome = decide(
      { outcome: 'rejected', status: '550 5.1.1' },
      { tries: 1, expiresInMs: 30 * HOUR_MS },
      0.5,
    );
    expect(outcome).toEqual({ state: 'failed', waitMs: 0, failure: 'rejected 550 5.1.1' });
  });

  test.each(['deferred', 'unavailable', 'internal'] as const)(
    'a mail that is %s waits longer each time',
    (outcome) => {
      const waits = [1, 2, 3, 4, 5, 6, 7, 8, 9].map(
        (tries) =>
          decide({ outcome, status: null }, { tries, expiresInMs: 1000 * HOUR_MS }, 0.5).waitMs / 1000,
      );
      expect(waits).toEqual([5, 15, 45, 135, 405, 1215, 3645, 10_935, 14_400]);
    },
  );

  test('a mail is given up after 20 tries', () => {
    const at = (tries: number) => decide(deferred, { tries, expiresInMs: 1000 * HOUR_MS }, 0.5).state;
    expect([at(19), at(20)]).toEqual(['pending', 'failed']);
  });

  test('a mail waits for at most half of the time that is left, and is given up if it expires meanwhile', () => {
    expect(waitsOf(600_000)).toEqual([5, 15, 45, 135, 300, 300]);
    expect(waitsOf(8000)).toEqual([5, 5, 5, 5, 5, 5]);
    expect(decide(deferred, { tries: 1, expiresInMs: 4000 }, 0.5)).toEqual({
      state: 'failed',
      waitMs: 0,
      failure: 'deferred 451 4.7.1',
    });
  });

  test('waits vary by a fifth, so that mails of one outage do not come together', () => {
    const waitOf = (random: number) => decide(deferred, { tries: 3, expiresInMs: HOUR_MS }, random).waitMs;
    expect([waitOf(0), waitOf(1)]).toEqual([36_000, 54_000]);
  });

  test('a lease outlasts an attempt', () => {
    expect(LEASE_MS).toBeGreaterThan(120_000 + 30_000);
  });
});

describe('the content of a mail', () => {
  const mail = { recipient: 'a@b.test', organization: '', text: 't', expiresAt: new Date() };
  const subjectOf = (subject: string) => contentOf({ ...mail, subject }).subject;

  test('has a subject of one line, whatever a name in it contains', () => {
    expect(subjectOf('Join A\r\nBcc: eve@example.com')).toBe('Join A Bcc: eve@example.com');
    expect(subjectOf('a\n\n\tb\u2028c\u0000d\u0085e\u007f')).toBe('a b c d e');
    // Otherwise mail programs would decode it, and show the rest from right to left.
    expect(subjectOf('Join =?utf-8?Q?=E2=80=AEb?= now')).toBe('Join = ?utf-8?Q?=E2=80=AEb?= now');
    expect(subjectOf('a=?=?b')).toBe('a= ?= ?b');
    expect(subjectOf('Grüße ✓ 👩‍🚀')).toBe('Grüße ✓ 👩‍🚀');
  });

  test('is well-formed and bounded, and never cuts a character', () => {
    expect(subjectOf('\ud800x')).toBe('\ufffdx');
    const long = subjectOf('👩'.repeat(300));
    expect(Array.from(long)).toHaveLength(200);
    expect(long.isWellFormed()).toBe(true);
    expect(() => contentOf({ ...mail, subject: 's', text: 'x'.repeat(20_001) })).toThrow('too long');
    expect(contentOf({ ...mail, subject: 's', text: '\udc00' }).text).toBe('\ufffd');
  });

  test('is for one bare address', () => {
    expect(() => contentOf({ ...mail, subject: 's', recipient: 'a@b.test, c@d.test' })).toThrow(
      'mail address',
    );
  });
});
