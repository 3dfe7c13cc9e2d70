import { createHash } from 'node:crypto';
import { formPage } from '../form-page.ts';
import type { ProviderOutcome } from './admission.ts';

// The cookie is sent along with the request of this page, which no other site can make.
const SCRIPT = `
const form = document.querySelector('form');
const output = document.querySelector('output');
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const sent = {};
  for (const { name, value } of form.querySelectorAll('input')) if (value !== '') sent[name] = value;
  const headers = { 'Content-Type': 'application/json' };
  const request = { method: 'POST', headers, body: JSON.stringify(sent) };
  const response = await fetch('/v1/sessions/oidc/completions', request).catch(() => null);
  if (response?.ok) return location.replace(form.dataset.redirect);
  const problem = await response?.json().catch(() => null);
  output.textContent = problem?.detail ?? 'That did not work. Try again.';
});
`;

const sha256 = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** What the pages may do. */
export const PAGE_POLICY = [
  "default-src 'none'",
  `script-src ${sha256(SCRIPT)}`,
  "style-src 'unsafe-inline'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escaped = (text: string) => text.replaceAll(/[&<>"]/g, (character) => ENTITIES[character]!);

/**
 * Returns the page at the end of the way back from the provider. From there the browser goes on by itself: a redirect
 * would still come from the site of the provider, and browsers send no strict cookie with those.
 */
export function pageOf(outcome: ProviderOutcome): string {
  const redirect = escaped(outcome.redirect);
  if (outcome.kind === 'signed in')
    return formPage({
      title: 'You are signed in',
      head: `<meta http-equiv="refresh" content="0;url=${redirect}">`,
      body: `<p><a href="${redirect}">Go on</a></p>`,
    });
  const { email, needsPassword, needsCode } = outcome;
  const why = needsPassword
    ? `There is an account with the address ${escaped(email)}. To link it, show that it is yours. Leave the password empty if you signed in to it here within the last 10 minutes. If it has none, reset it first.`
    : `The account ${escaped(email)} has a second factor.`;
  const password = `<label>Your password <input type="password" name="password" autocomplete="current-password"></label>`;
  const code = `<label>The code of your authenticator app, or a recovery code <input name="code" autocomplete="one-time-code"></label>`;
  return formPage({
    title: 'One more step',
    body: `<p>${why}</p>
<form data-redirect="${redirect}">
${needsPassword ? password : ''}
${needsCode ? code : ''}
<button>Sign in</button>
</form>
<p><output></output></p>
<script>${SCRIPT}</script>`,
  });
}
