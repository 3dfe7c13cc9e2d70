import { createHash } from 'node:crypto';
import { z } from '@hono/zod-openapi';
import type { RouteTable } from '../../../http/route.ts';
import { STATIC_HEADERS, StaticContent, UNCHANGED } from '../../../http/static-content.ts';
import { formPage } from '../form-page.ts';

/** A page that a link in a mail leads to. */
interface MailPage {
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly title: string;
  readonly label: string;
  readonly autocomplete: 'current-password' | 'new-password';
  readonly button: string;
  /** The route that takes the token and the password. */
  readonly target: string;
  readonly done: string;
}

const PAGES: readonly MailPage[] = [
  {
    path: '/confirm',
    operationId: 'getConfirmationPage',
    summary: 'Open the page that confirms a mail address',
    title: 'Confirm your mail address',
    label: 'The password that you chose',
    autocomplete: 'current-password',
    button: 'Confirm',
    target: '/v1/users/confirmations',
    done: 'Your address is confirmed. You can sign in now.',
  },
  {
    path: '/reset-password',
    operationId: 'getPasswordResetPage',
    summary: 'Open the page that resets a password',
    title: 'Choose another password',
    label: 'Your new password, of at least 12 characters',
    autocomplete: 'new-password',
    button: 'Set the password',
    target: '/v1/users/password-resets/completions',
    done: 'Your password is set, and all your sessions have ended. You can sign in now.',
  },
];

// The token is in the fragment, which browsers send to nobody. It leaves the address bar at once, and is sent only with
// the password: programs that open links in mails confirm nothing.
const SCRIPT = `
const token = new URLSearchParams(location.hash.slice(1)).get('token');
history.replaceState(null, '', location.pathname);
const form = document.querySelector('form');
const output = document.querySelector('output');
if (token === null) output.textContent = 'The link is incomplete. Open it as it is in the mail.';
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const body = JSON.stringify({ token: token ?? '', password: form.elements.password.value });
  const headers = { 'Content-Type': 'application/json' };
  const response = await fetch(form.dataset.target, { method: 'POST', headers, body }).catch(() => null);
  const problem = response === null || response.ok ? null : await response.json().catch(() => null);
  form.hidden = response !== null && response.ok;
  output.textContent = form.hidden ? form.dataset.done : (problem?.detail ?? 'That did not work. Try again.');
});
`;

const POLICY = [
  "default-src 'none'",
  `script-src 'sha256-${createHash('sha256').update(SCRIPT).digest('base64')}'`,
  "style-src 'unsafe-inline'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Mounts the pages that links in mails lead to. */
export function mountMailPages(routes: RouteTable): void {
  for (const page of PAGES) {
    const { path, operationId, summary } = page;
    const content = new StaticContent({
      type: 'text/html; charset=UTF-8',
      fields: { 'content-security-policy': POLICY, 'referrer-policy': 'no-referrer' },
      load: () => htmlOf(page),
    });
    routes.mount(
      {
        method: 'get',
        path,
        operationId,
        summary,
        tag: 'Users',
        tier: 'non-critical',
        scope: null,
        headers: STATIC_HEADERS,
        responses: {
          200: { description: 'An HTML page', content: { 'text/html': { schema: z.string() } } },
          ...UNCHANGED,
        },
      },
      ({ request, exchange }) => content.respond(request, exchange),
    );
  }
}

function htmlOf({ title, label, autocomplete, button, target, done }: MailPage): string {
  return formPage({
    title,
    body: `<form data-target="${target}" data-done="${done}">
<label>${label} <input type="password" name="password" autocomplete="${autocomplete}" required></label>
<button>${button}</button>
</form>
<p><output></output></p>
<script>${SCRIPT}</script>`,
  });
}
