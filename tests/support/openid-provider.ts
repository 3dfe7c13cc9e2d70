import type { Server } from 'node:http';
import Provider from 'oidc-provider';

/** What the provider of a test says about somebody. */
export interface ProviderAccount {
  readonly email?: string;
  readonly email_verified?: boolean;
  readonly name?: string;
}

/** A real OpenID Connect provider on loopback, with accounts that sign in without a password. */
export interface TestProvider {
  readonly issuer: string;
  /** The settings of an Atlas that uses it. */
  readonly settings: Record<string, string>;
  /** By subject. */
  readonly accounts: Map<string, ProviderAccount>;
  stop(): Promise<void>;
}

export const CLIENT = { id: 'atlas', secret: 'the-secret-of-atlas-at-the-provider' };

/** Starts one that sends browsers back to this origin of Atlas. */
export async function startProvider(publicUrl: string): Promise<TestProvider> {
  const port = freePort();
  const issuer = `http://127.0.0.1:${port}`;
  const accounts = new Map<string, ProviderAccount>();
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        redirect_uris: [`${publicUrl}/v1/sessions/oidc/callback`],
        response_types: ['code'],
        grant_types: ['authorization_code'],
      },
    ],
    cookies: { keys: ['of this test'] },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    findAccount: (_: unknown, sub: string) =>
      accounts.has(sub) ? { accountId: sub, claims: async () => ({ sub, ...accounts.get(sub) }) } : undefined,
  });
  const server: Server = await new Promise((resolve) => {
    const listening = provider.listen(port, '127.0.0.1', () => resolve(listening));
  });
  return {
    issuer,
    settings: {
      PUBLIC_URL: publicUrl,
      OIDC_ISSUER: issuer,
      OIDC_CLIENT_ID: CLIENT.id,
      OIDC_CLIENT_SECRET: CLIENT.secret,
      OIDC_NAME: 'Example SSO',
    },
    accounts,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function freePort(): number {
  const probe = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() });
  const { port } = probe;
  void probe.stop(true);
  return port!;
}

/** A browser: it has cookies by site, and follows redirects only where it is told. */
export class Browser {
  readonly cookies = new Map<string, Map<string, string>>();

  /** The header of what it would send to this origin. Strict cookies stay away from what another site has begun. */
  cookieOf(origin: string, isFromElsewhere = false): string {
    const jar = this.cookies.get(origin) ?? new Map<string, string>();
    return [...jar]
      .filter(([, value]) => !(isFromElsewhere && value.includes('SameSite=Strict')))
      .map(([name, value]) => `${name}=${value.split(';')[0]}`)
      .join('; ');
  }

  keep(origin: string, response: Response): Response {
    const jar = this.cookies.get(origin) ?? new Map<string, string>();
    this.cookies.set(origin, jar);
    for (const cookie of response.headers.getSetCookie()) {
      const at = cookie.indexOf('=');
      jar.set(cookie.slice(0, at), cookie.slice(at + 1));
    }
    return response;
  }

  /** Signs in at the provider as somebody, and returns the URL that it sends the browser back to. */
  async signInAt(location: string, subject: string): Promise<string> {
    const { origin } = new URL(location);
    let url = location;
    for (let steps = 0; steps < 12 && new URL(url).origin === origin; steps++) {
      let response = await this.#fetch(origin, url);
      if (response.status === 200) {
        const html = await response.text();
        const action = /action="([^"]+)"/.exec(html)![1]!;
        const login = new URLSearchParams({ prompt: 'login', login: subject, password: 'any' });
        const body = html.includes('name="login"') ? login : new URLSearchParams({ prompt: 'consent' });
        response = await this.#fetch(origin, new URL(action, url).href, { method: 'POST', body });
      }
      const next = response.headers.get('location');
      if (next === null)
        throw new Error(`The provider stays at ${url}: ${response.status} ${await response.text()}`);
      url = new URL(next, url).href;
    }
    return url;
  }

  async #fetch(origin: string, url: string, init: RequestInit = {}): Promise<Response> {
    const headers = { Cookie: this.cookieOf(origin) };
    return this.keep(origin, await fetch(url, { ...init, headers, redirect: 'manual' }));
  }
}
