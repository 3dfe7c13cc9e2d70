import { afterAll, beforeAll, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { createUser, mailsTo, passwordHash, signIn, visit } from '../../support/user-steps.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp({ SIGN_UP: 'open' });
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

/** Opens the link of a mail, runs the script of its page, and submits its form. Returns what the page says then. */
async function submit(link: string, password: string): Promise<string> {
  const { pathname, hash } = new URL(link);
  const html = await (await visit(atlas, 'GET', pathname)).text();
  const script = /<script>([\s\S]*)<\/script>/.exec(html)![1]!;
  const attribute = (name: string) => new RegExp(`data-${name}="([^"]*)"`).exec(html)![1]!;
  const output = { textContent: '' };
  let onSubmit: (event: { preventDefault(): void }) => Promise<void> = async () => {};
  const form = {
    hidden: false,
    dataset: { target: attribute('target'), done: attribute('done') },
    elements: { password: { value: password } },
    addEventListener(_: string, listener: typeof onSubmit) {
      onSubmit = listener;
    },
  };
  const shown: string[] = [];
  const send = (path: string, init: RequestInit) => {
    const headers = { ...(init.headers as Record<string, string>), Host: 'atlas.test' };
    return Promise.resolve(atlas.fetch(new Request(`http://atlas.test${path}`, { ...init, headers })));
  };
  new Function('location', 'history', 'document', 'fetch', script)(
    { hash, pathname },
    { replaceState: (_: unknown, __: string, path: string) => shown.push(path) },
    { querySelector: (name: string) => (name === 'form' ? form : output) },
    send,
  );
  expect(shown).toEqual([pathname]);
  await onSubmit({ preventDefault: () => {} });
  return output.textContent;
}

const linkTo = async (email: string) =>
  /^https?:\S+#token=\S+$/m.exec((await mailsTo(atlas, email)).at(-1)!.text)![0];

test('the link of a mail leads to a page that confirms the address, with the password only', async () => {
  const email = 'linked@example.com';
  await visit(atlas, 'POST', '/v1/users', { json: { email, password: 'tulip anchor velvet' } });
  expect(await submit(await linkTo(email), 'a wrong password')).toContain(
    'the password is not the one of the sign-up',
  );
  expect(await submit(await linkTo(email), 'tulip anchor velvet')).toContain('Your address is confirmed');
  expect((await signIn(atlas, email)).status).toBe(201);
});

test('the link of a mail leads to a page that resets the password', async () => {
  const { email } = await createUser(atlas, { passwordHash: await passwordHash() });
  await visit(atlas, 'POST', '/v1/users/password-resets', { json: { email } });
  expect(await submit(await linkTo(email), 'short')).toContain('at least 12 are required');
  expect(await submit(await linkTo(email), 'another good password')).toContain('Your password is set');
  expect((await signIn(atlas, email, 'another good password')).status).toBe(201);
});

test.each(['/confirm', '/reset-password'])(
  '%s runs its own script only, and cannot be framed',
  async (path) => {
    const response = await visit(atlas, 'GET', path);
    const html = await response.text();
    const script = /<script>([\s\S]*)<\/script>/.exec(html)![1]!;
    const policy = response.headers.get('content-security-policy')!;
    expect(policy).toContain(`script-src 'sha256-${createHash('sha256').update(script).digest('base64')}'`);
    for (const part of ["default-src 'none'", "frame-ancestors 'none'", "form-action 'none'"])
      expect(policy).toContain(part);
    expect(html.match(/<script/g)).toHaveLength(1);
    expect(html).not.toMatch(/https?:/);
  },
);
