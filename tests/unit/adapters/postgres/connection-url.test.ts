import { describe, expect, test } from 'bun:test';
import postgres from 'postgres';
import { readConnectionUrl } from '../../../../src/adapters/postgres/connection-url.ts';

const BASE = 'postgres://atlas:secret@db.example.com/atlas';
const namesOf = (url: string) => readConnectionUrl(url).ignored.map(({ name }) => name);

describe('a URL as another tool wrote it', () => {
  test.each([
    [
      'Neon',
      `${BASE}?sslmode=require&channel_binding=require`,
      ['channel_binding'],
      `${BASE}?sslmode=require`,
    ],
    [
      'Prisma',
      `${BASE}?schema=public&pgbouncer=true&connection_limit=5&pool_timeout=10`,
      ['pgbouncer', 'connection_limit', 'pool_timeout'],
      `${BASE}?search_path=%22public%22`,
    ],
    [
      'libpq',
      `${BASE}?connect_timeout=5&keepalives=1&gssencmode=disable`,
      ['connect_timeout', 'keepalives', 'gssencmode'],
      BASE,
    ],
    [
      'a cloud',
      `${BASE}?sslmode=verify-ca&sslrootcert=/etc/ca.pem`,
      [],
      `${BASE}?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem`,
    ],
    ['JDBC', `${BASE}?ssl=true&sslcert=/etc/cert.pem`, ['sslcert'], `${BASE}?sslmode=verify-full`],
    ['libpq 16', `${BASE}?sslrootcert=system`, [], `${BASE}?sslmode=verify-full`],
    [
      'one who names an authority only',
      `${BASE}?sslrootcert=a%20b.pem`,
      [],
      `${BASE}?sslmode=verify-full&sslrootcert=a%20b.pem`,
    ],
    [
      'one whose mode checks nothing',
      `${BASE}?sslmode=prefer&sslrootcert=ca.pem`,
      ['sslrootcert'],
      `${BASE}?sslmode=prefer`,
    ],
    ['nobody', BASE, [], BASE],
    ['a script', `${BASE}?&`, [], BASE],
  ])('%s: keeps what the driver honors, and lists the rest', (_, url, ignored, expected) => {
    expect(readConnectionUrl(url).url).toBe(expected);
    expect(namesOf(url)).toEqual(ignored);
  });

  test('reads what it returned as the same, since workers get it from their supervisor', () => {
    for (const query of [
      'sslrootcert=a%20b.pem',
      'ssl=true',
      'sslmode=require&schema=x',
      'sslrootcert=system',
    ]) {
      const { url } = readConnectionUrl(`${BASE}?${query}`);
      expect(readConnectionUrl(url)).toEqual({ url, ignored: [] });
    }
  });

  test.each(['verify_full', 'verifyfull', '', 'no-verify', 'constructor'])(
    'refuses the sslmode "%s", which might mean that the server is checked',
    (mode) => {
      expect(() => readConnectionUrl(`${BASE}?sslmode=${mode}`)).toThrow(
        /^DATABASE_URL has an unknown sslmode\.\n {2}why: .*\n {2}do: /,
      );
    },
  );

  test('says for each parameter without effect why, and what to do', () => {
    for (const { why, remedy } of readConnectionUrl(`${BASE}?channel_binding=require&max=5&sslcert=a`)
      .ignored) {
      expect(why.length).toBeGreaterThan(10);
      expect(remedy).toStartWith('remove it');
    }
  });

  test('keeps settings of the server, and the values as they are', () => {
    const url = `${BASE}?application_name=a%20b&options=-c%20geqo%3Doff&target_session_attrs=read-write`;
    expect(readConnectionUrl(url)).toEqual({ url, ignored: [] });
  });

  test('quotes a schema, whose name may be anything', () => {
    expect(readConnectionUrl(`${BASE}?schema=My%22Schema`).url).toBe(
      `${BASE}?search_path=%22My%22%22Schema%22`,
    );
  });

  test.each([
    ['50%off', '50%off'],
    ['100%', '100%'],
    ['a%40b', 'a@b'],
    ['%zz%20', '%zz '],
  ])('takes a percent sign that encodes nothing for itself: %s', (written, password) => {
    const sql = postgres(readConnectionUrl(`postgres://atlas:${written}@127.0.0.1/atlas`).url);
    expect(sql.options.pass).toBe(password as never);
    void sql.end({ timeout: 0 });
  });
});
