import { createHash } from 'node:crypto';
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
    return htmlOf(
      'You are signed in',
      `<meta http-equiv="refresh" content="0;url=${redirect}">`,
      `<p><a href="${redirect}">Go on</a></p>`,
    );
  const { email, needsPassword, needsCode } = outcome;
  const why = needsPassword
    ? `There is an account with the address ${escaped(email)}. To link it, show that it is yours. Leave the password empty if you are signed in to it here. If it has none, reset it first.`
    : `The account ${escaped(email)} has a second factor.`;
  const password = `<label>Your password <input type="password" name="password" autocomplete="current-password"></label>`;
  const code = `<label>The code of your authenticator app, or a recovery code <input name="code" autocomplete="one-time-code"></label>`;
  return htmlOf(
    'One more step',
    '',
    `<p>${why}</p>
<form data-redirect="${redirect}">
${needsPassword ? password : ''}
${needsCode ? code : ''}
<button>Sign in</button>
</form>
<p><output></output></p>
<script>${SCRIPT}</script>`,
  );
}

function htmlOf(title: string, head: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/favicon.ico">
<title>${title}</title>
${head}
<style>
:root { color-scheme: light dark }
body { font: 16px/1.6 system-ui, sans-serif; max-width: 24rem; margin: 4rem auto; padding: 0 1rem }
input, button { font: inherit; display: block; width: 100%; box-sizing: border-box; margin: .5rem 0; padding: .5rem }
</style>
</head>
<body>
<h1>${title}</h1>
${body}
</body>
</html>
`;
}
