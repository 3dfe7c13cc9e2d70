import { afterEach, beforeEach, describe, expect, type Mock, spyOn, test } from 'bun:test';
import { PasswordHasher } from '../../../../src/features/identity/password-hasher.ts';
import { passwordThread } from '../../../../src/features/identity/password-thread.ts';

const never = new AbortController().signal;
const from = (address: string, signal = never) => ({ address, signal });
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error) => error.code ?? error.message,
  );

describe('a password', () => {
  test('is hashed with Argon2id of 19 MiB and two passes, and verified', async () => {
    const hasher = new PasswordHasher();
    const hash = await hasher.hash('tulip anchor velvet', from('a'));
    expect(hash).toStartWith('$argon2id$v=19$m=19456,t=2,p=1$');
    expect(await hasher.verify('tulip anchor velvet', hash, from('a'))).toBe(true);
    expect(await hasher.verify('tulip anchor velvet ', hash, from('a'))).toBe(false);
    expect(hasher.stats).toEqual({ waiting: 0, hashes: 3, refused: 0 });
  });

  test('is not verified by a hash that cannot be read, which fails', async () => {
    const hasher = new PasswordHasher();
    await expect(hasher.verify('x', 'no hash', from('a'))).rejects.toThrow();
    const hash = await hasher.hash('tulip anchor velvet', from('a'));
    expect(await hasher.verify('tulip anchor velvet', hash, from('a'))).toBe(true);
  });

  test('without a hash to compare with takes one of the same cost, and is wrong', async () => {
    const verify = spyOn(passwordThread, 'verify');
    expect(await new PasswordHasher().verify('x', null, from('a'))).toBe(false);
    expect(verify.mock.calls[0]![1]).toStartWith('$argon2id$v=19$m=19456,t=2,p=1$');
    verify.mockRestore();
  });
});

describe('the queue of passwords', () => {
  let running: (() => void)[];
  let hash: Mock<typeof passwordThread.hash>;
  beforeEach(() => {
    running = [];
    hash = spyOn(passwordThread, 'hash').mockImplementation(
      () => new Promise((resolve) => void running.push(() => resolve('hash'))),
    );
  });
  afterEach(() => hash.mockRestore());
  const finishAll = async () => {
    for (let i = 0; i < 100; i++) {
      running.shift()?.();
      await Bun.sleep(0);
    }
  };

  test('has at most four places for a network of IPv6 addresses, which one customer has', async () => {
    const hasher = new PasswordHasher();
    const codes = Promise.all(
      Array.from({ length: 6 }, (_, i) => codeOf(hasher.hash('x', from(`2001:db8::${i}`)))),
    );
    const other = codeOf(hasher.hash('x', from('2001:db8:0:1::1')));
    await finishAll();
    expect((await codes).filter((code) => code === 'too_many_attempts')).toHaveLength(2);
    expect(await other).toBe('done');
  });

  test('hashes one at a time', async () => {
    const hasher = new PasswordHasher();
    const all = Promise.all([1, 2, 3].map((n) => hasher.hash('x', from(String(n)))));
    await Bun.sleep(0);
    expect(running).toHaveLength(1);
    await finishAll();
    expect(await all).toHaveLength(3);
  });

  test('has 32 places, and 4 for one address', async () => {
    const hasher = new PasswordHasher();
    const waiting = Array.from({ length: 32 }, (_, i) => hasher.hash('x', from(`address ${i >> 2}`)));
    expect(await codeOf(hasher.hash('x', from('another address')))).toBe('sign_in_overloaded');
    await finishAll();
    await Promise.all(waiting);
    const four = Array.from({ length: 4 }, () => hasher.hash('x', from('one')));
    expect(await codeOf(hasher.hash('x', from('one')))).toBe('too_many_attempts');
    const other = hasher.hash('x', from('other'));
    await finishAll();
    expect(await Promise.all([...four, other])).toHaveLength(5);
    expect(hasher.stats).toMatchObject({ waiting: 0, refused: 2 });
  });

  test('leaves out a caller who has gone before the turn came', async () => {
    const hasher = new PasswordHasher();
    const gone = new AbortController();
    const first = hasher.hash('x', from('a'));
    const second = codeOf(hasher.hash('x', from('b', gone.signal)));
    const third = hasher.hash('x', from('c'));
    gone.abort(new Error('gone'));
    await finishAll();
    expect([await first, await second, await third]).toEqual(['hash', 'gone', 'hash']);
    expect(hash).toHaveBeenCalledTimes(2);
  });
});
