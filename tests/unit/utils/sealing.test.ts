import { describe, expect, test } from 'bun:test';
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { decodeKey, generateKey, type SealContext, Sealing } from '../../../src/utils/sealing.ts';

const keys = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((key) => Buffer.from(key).toString('base64'));
const secrets = fc.uint8Array({ maxLength: 200 });
const contexts: fc.Arbitrary<SealContext> = fc.record({ purpose: fc.string(), id: fc.string() });
const strict = (key: string | null, ...formerKeys: string[]) =>
  new Sealing({ key, formerKeys, allowsPlain: false });
const failureOf = (open: () => unknown) => {
  try {
    return { opened: open() };
  } catch (error) {
    return (error as { failure?: string }).failure;
  }
};

describe('a sealed record', () => {
  test('opens to exactly what was sealed, under the current key and every former one', () => {
    fc.assert(
      fc.property(keys, keys, secrets, contexts, (key, next, secret, context) => {
        const record = strict(key).seal(secret, context);
        for (const sealing of [strict(key), strict(next, key), strict(null, next, key)])
          expect([...sealing.open(record, context)]).toEqual([...secret]);
      }),
    );
  });

  test('that was changed in any character, cut, or extended never opens', () => {
    const alphabet = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=', ' ', '\n'];
    fc.assert(
      fc.property(
        secrets,
        contexts,
        fc.nat(),
        fc.constantFrom(...alphabet),
        fc.constantFrom('change', 'cut', 'insert', 'cut the start'),
        (secret, context, at, character, how) => {
          const sealing = strict(generateKey());
          const record = sealing.seal(secret, context);
          const i = at % record.length;
          const changed = {
            change: record.slice(0, i) + character + record.slice(i + 1),
            cut: record.slice(0, i),
            insert: record.slice(0, i) + character + record.slice(i),
            'cut the start': record.slice(i + 1),
          }[how];
          fc.pre(changed !== record);
          expect(['invalid', 'unknown key']).toContain(
            failureOf(() => sealing.open(changed, context)) as string,
          );
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('opens nowhere but where it belongs', () => {
    fc.assert(
      fc.property(keys, secrets, contexts, contexts, (key, secret, context, other) => {
        fc.pre(context.purpose !== other.purpose || context.id !== other.id);
        const sealing = strict(key);
        expect(failureOf(() => sealing.open(sealing.seal(secret, context), other))).toBe('invalid');
      }),
    );
    const sealing = strict(generateKey());
    const record = sealing.seal(Buffer.from('x'), { purpose: 'a', id: 'b c' });
    expect(failureOf(() => sealing.open(record, { purpose: 'a b', id: 'c' }))).toBe('invalid');
  });

  test('with the id of another key than it was sealed with never opens', () => {
    const [key, other] = [generateKey(), generateKey()];
    const context = { purpose: 'test', id: '1' };
    const record = strict(key).seal(Buffer.from('secret'), context);
    expect(failureOf(() => strict(other).open(record, context))).toBe('unknown key');
    const renamed = record.replace(strict(key).keyId!, strict(other).keyId!);
    expect(failureOf(() => strict(key, other).open(renamed, context))).toBe('invalid');
    expect(() => strict(other).open(record, context)).toThrow(
      /why: .*which this host does not have\n {2}do: /,
    );
  });

  test('differs each time, and contains neither the secret nor the key', () => {
    const key = generateKey();
    const secret = randomBytes(32);
    const records = Array.from({ length: 50 }, () => strict(key).seal(secret, { purpose: 'test', id: '1' }));
    expect(new Set(records).size).toBe(50);
    for (const text of [key, secret.toString('base64url'), secret.toString('base64')])
      expect(records.join()).not.toContain(text);
  });
});

describe('a plain record', () => {
  const context = { purpose: 'test', id: '1' };

  test('is written and read where plain text is allowed, until a key is set', () => {
    const plain = new Sealing({ key: null, formerKeys: [], allowsPlain: true });
    const record = plain.seal(Buffer.from('secret'), context);
    expect(record).toBe('plain.c2VjcmV0');
    expect(plain.open(record, context).toString()).toBe('secret');
    const key = generateKey();
    const keyed = new Sealing({ key, formerKeys: [], allowsPlain: true });
    expect(keyed.open(record, context).toString()).toBe('secret');
    expect(keyed.seal(Buffer.from('secret'), context)).toStartWith(`v1.${keyed.keyId}.`);
  });

  test('is neither written nor read anywhere else, so nobody can put one in the place of a sealed one', () => {
    expect(failureOf(() => strict(null).seal(Buffer.from('secret'), context))).toBe('no key');
    expect(failureOf(() => strict(generateKey()).open('plain.c2VjcmV0', context))).toBe('plain');
    expect(strict(generateKey()).openToSeal('plain.c2VjcmV0', context).toString()).toBe('secret');
  });
});

test('a key is 32 bytes in base64, with or without padding', () => {
  const key = Buffer.alloc(32, 0xfb);
  for (const text of [key.toString('base64'), key.toString('base64url'), key.toString('base64').slice(0, 43)])
    expect(decodeKey(text)?.equals(key)).toBe(true);
  for (const text of [
    '',
    'secret',
    key.toString('hex'),
    Buffer.alloc(31).toString('base64'),
    `${key.toString('base64')}=`,
  ])
    expect(decodeKey(text)).toBeNull();
});
