import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import {
  CURSOR_FORM,
  EVENT_ID_FORM,
  eventBlock,
  greetingBlock,
  parseCursor,
  parseEventId,
  type SentEvent,
  writeCursor,
} from '../../../../../src/features/events/log/domain.ts';
import { eventIdOf } from '../../../../../src/utils/event.ts';

describe('a cursor', () => {
  test('parses to the position it was written from', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 52 - 1 }), (position) => {
        const text = writeCursor(position);
        expect(text).toMatch(CURSOR_FORM);
        expect(parseCursor(text)).toBe(position);
      }),
    );
  });

  test('has a single format', () => {
    for (const text of ['', 'e', 'e000000000000', 'e00000000000000', 'E0000000000001', 'e000000000000G'])
      expect(CURSOR_FORM.test(text)).toBe(false);
  });
});

test('an event id parses to its parts, even if the key contains a colon', () => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^[\w.-]{1,100}$/),
      fc.integer({ min: 0, max: 999_999_999_999_999 }),
      (key, sequence) => {
        const id = eventIdOf({ key, sequence });
        expect(id).toMatch(EVENT_ID_FORM);
        expect(parseEventId(id)).toEqual({ key, sequence });
      },
    ),
  );
});

describe('a block of a stream', () => {
  test('is one line of data, whatever the event contains', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const event: SentEvent = {
          position: 31,
          owner: 'alice',
          type: 'account.opened.v1',
          key: 'k',
          sequence: 0,
          occurredAt: '2026-01-31T12:00:00.000Z',
          data: { [text]: text, lines: `a\nb\rc\r\nd\n\ndata: evil${text}` },
        };
        const [id, type, data, ...rest] = eventBlock(event).split(/\r\n|\r|\n/);
        expect([id, type, ...rest]).toEqual(['id: e000000000001f', 'event: account.opened.v1', '', '']);
        expect(JSON.parse(data!.slice('data: '.length)).data).toEqual(event.data);
      }),
    );
  });

  test('never reveals the owner', () => {
    const event: SentEvent = {
      position: 1,
      owner: 'whose-it-is',
      type: 't',
      key: 'k',
      sequence: 0,
      occurredAt: '2026-01-31T12:00:00.000Z',
      data: {},
    };
    expect(eventBlock(event)).not.toContain('whose-it-is');
  });

  test('greets with a position and a time to reconnect, and no event', () => {
    expect(greetingBlock(31, 1500)).toBe('retry: 1500\nid: e000000000001f\n\n');
  });
});
