import { describe, expect, test } from 'bun:test';
import { smtpAccess, smtpAddress } from '../../../../src/adapters/mail/smtp-access.ts';
import { loadConfig } from '../../../../src/config.ts';

describe('the access to a mail server', () => {
  test('has the port of its scheme, unless the URL has one', () => {
    const portOf = (SMTP_URL: string) => smtpAccess({ SMTP_URL }).port;
    expect(
      ['smtp://m.test', 'smtps://m.test', 'smtp://m.test:25', 'smtps://m.test:2465/'].map(portOf),
    ).toEqual([587, 465, 25, 2465]);
  });

  test('has the login of the URL, decoded, or of the settings, which win', () => {
    const SMTP_URL = 'smtps://a%40b.test:p%2Fw%3A%C3%BC@m.test';
    expect(smtpAccess({ SMTP_URL }).login).toEqual({ user: 'a@b.test', password: 'p/w:ü' });
    expect(smtpAccess({ SMTP_URL, SMTP_PASSWORD: 'p%2F' }).login).toEqual({
      user: 'a@b.test',
      password: 'p%2F',
    });
    const login = { SMTP_USER: 'u', SMTP_PASSWORD: 'p' };
    expect(smtpAccess({ SMTP_URL: 'smtp://m.test', ...login }).login).toEqual({ user: 'u', password: 'p' });
    expect(smtpAccess({ SMTP_URL: 'smtp://m.test' }).login).toBeNull();
  });

  test('is shown without the login', () => {
    const shown = (SMTP_URL: string) => smtpAddress(smtpAccess({ SMTP_URL }));
    expect(shown('smtps://user:secret@m.test')).toBe('smtps://m.test:465');
    expect(shown('smtp://user:secret@[::1]:25')).toBe('smtp://[::1]:25');
  });
});

describe('the settings of a mail server', () => {
  const load = (settings: Record<string, string>) => loadConfig(settings, null).config;
  const errorOf = (settings: Record<string, string>): string => {
    try {
      load(settings);
    } catch (error) {
      return (error as Error).message;
    }
    return 'none';
  };

  test('are rejected if no mail could be sent, and the password is not shown', () => {
    const MAIL_FROM = 'Atlas <no-reply@example.com>';
    const SMTP_URL = 'smtps://mail.example.com';
    const withLogin = 'smtps://atlas:hunter2@mail.example.com';
    const errors = [
      [{ SMTP_URL }, 'MAIL_FROM is not set'],
      [{ SMTP_PASSWORD: 'hunter2' }, 'SMTP_PASSWORD is set, and SMTP_URL is not'],
      [{ SMTP_URL, MAIL_FROM, SMTP_PASSWORD: 'hunter2' }, 'a password without a user'],
      [{ SMTP_URL, MAIL_FROM, SMTP_USER: 'atlas' }, 'a user without a password'],
      [{ SMTP_URL: 'smtps://atlas@mail.example.com', MAIL_FROM }, 'a user without a password'],
      [{ SMTP_URL: `${withLogin}/path`, MAIL_FROM }, 'is not a URL of this kind'],
      [{ SMTP_URL: `${withLogin}?tls.rejectUnauthorized=false`, MAIL_FROM }, 'is not a URL of this kind'],
      [{ SMTP_URL: `${withLogin}#x`, MAIL_FROM }, 'is not a URL of this kind'],
      [{ SMTP_URL: 'smtp://', MAIL_FROM }, 'is not a URL of this kind'],
      [{ SMTP_URL: 'smtps://atlas:hunter2%@mail.example.com', MAIL_FROM }, 'is not a URL of this kind'],
      [{ SMTP_URL: 'https://atlas:hunter2@mail.example.com', MAIL_FROM }, 'is not a URL of this kind'],
      [{ SMTP_URL, MAIL_FROM: 'a@b.test, c@d.test' }, 'is not one mail address'],
    ] as const;
    for (const [settings, text] of errors) {
      expect(errorOf(settings)).toContain(text);
      expect(errorOf(settings)).not.toContain('hunter2');
    }
    const logins = [
      { SMTP_URL },
      { SMTP_URL: withLogin },
      { SMTP_URL, SMTP_USER: 'atlas', SMTP_PASSWORD: 'x' },
    ];
    for (const login of logins) expect(load({ ...login, MAIL_FROM })).toMatchObject({ MAIL_FROM });
  });
});
