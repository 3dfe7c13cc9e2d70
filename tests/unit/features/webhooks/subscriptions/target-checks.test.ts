import { expect, test } from 'bun:test';
import { limitChecks } from '../../../../../src/features/webhooks/subscriptions/target-checks.ts';

const never = new AbortController().signal;
const URL = 'https://hooks.example.com/';
const codeOf = (error: unknown) => (error as { code?: string }).code;

test('checks that do not end leave others to other owners', async () => {
  const running = Promise.withResolvers<void>();
  const checkedUrls: string[] = [];
  const check = limitChecks((url) => {
    checkedUrls.push(url);
    return running.promise;
  });
  const checks = Array.from({ length: 100 }, () => check('busy', URL, never).then(() => 'allowed', codeOf));
  expect(checkedUrls.length).toBe(32);
  const ofOther = check('other', URL, never).then(() => 'allowed', codeOf);
  running.resolve();
  expect(await ofOther).toBe('allowed');
  const results = await Promise.all(checks);
  expect(results.filter((result) => result === 'allowed').length).toBe(32);
  expect(results.filter((result) => result === 'overloaded').length).toBe(68);
});

test('a check that has failed makes room for the next one', async () => {
  const check = limitChecks(() => Promise.reject(new Error('refused')));
  for (let i = 0; i < 100; i++) await expect(check('owner', URL, never)).rejects.toThrow('refused');
});
