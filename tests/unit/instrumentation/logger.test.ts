import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { createLogger } from '../../../src/instrumentation/logger.ts';

const TOKEN = `atlas_live_${'A'.repeat(16)}_${'b'.repeat(43)}123456`;
type Format = 'json' | 'pretty';

/** Logs something and returns every line of output. */
function linesOf(format: Format, log: (logger: ReturnType<typeof createLogger>) => void): string[] {
  const written: string[] = [];
  const settings = { LOG_LEVEL: 'debug', LOG_FORMAT: format, ENVIRONMENT: 'test' } as const;
  log(createLogger(settings, { write: (text) => void written.push(text) }));
  return written;
}

describe('a log line', () => {
  test('in JSON has time, level, message, and fields, without the host', () => {
    const [line] = linesOf('json', (logger) => logger.info({ requestId: 'r1' }, 'request'));
    const { time, ...rest } = JSON.parse(line!);
    expect(rest).toEqual({ level: 'info', requestId: 'r1', msg: 'request' });
    expect(new Date(time).toISOString()).toBe(time);
  });

  test('in development is a readable line', () => {
    const [line] = linesOf('pretty', (logger) => logger.warn({ requestId: 'r1', ms: 3 }, 'slow request'));
    expect(line).toMatch(/^\d\d:\d\d:\d\d\.\d{3} WARN {2}slow request requestId="r1" ms=3\n$/);
  });

  test('is not written below the level', () => {
    expect(linesOf('json', (logger) => logger.trace('nothing'))).toEqual([]);
  });

  test('is readable by default in development only', () => {
    const firstOf = (ENVIRONMENT: 'development' | 'production') => {
      const written: string[] = [];
      const settings = { LOG_LEVEL: 'info', LOG_FORMAT: 'auto', ENVIRONMENT } as const;
      createLogger(settings, { write: (text) => void written.push(text) }).info('hello');
      return written[0]![0]!;
    };
    expect(firstOf('production')).toBe('{');
    expect(firstOf('development')).toMatch(/\d/);
  });

  test('includes an error with its cause', () => {
    const error = new Error('outer', { cause: new Error('inner') });
    const [line] = linesOf('json', (logger) => logger.error({ err: error }, 'failed'));
    expect(JSON.parse(line!).err).toMatchObject({ message: 'outer', cause: { message: 'inner' } });
  });
});

describe.each<Format>(['json', 'pretty'])('secrets in %s', (format) => {
  const line = (fields: object, message = 'm') =>
    linesOf(format, (logger) => logger.info(fields, message)).join();

  test.each(['authorization', 'cookie', 'password', 'secret', 'token', 'apiKey', 'key', 'databaseUrl'])(
    'are masked under the name %s, at the top and one level down',
    (name) => {
      expect(line({ [name]: 'hunter2' })).not.toContain('hunter2');
      expect(line({ request: { [name]: 'hunter2' } })).not.toContain('hunter2');
    },
  );

  test('are masked by pattern anywhere in a line', () => {
    for (const text of [
      line({}, `the key ${TOKEN} was sent`),
      line({ deep: { down: { header: `Bearer ${TOKEN}` } } }),
      line({ [TOKEN]: 1 }),
      line({ err: new Error(`bad ${TOKEN}`) }),
    ]) {
      expect(text).not.toContain('b'.repeat(43));
      expect(text).toContain('atlas_live_********');
    }
  });

  test.each([
    ['postgres://atlas:hunter2@db:5432/atlas', 'postgres://atlas:********@db:5432/atlas'],
    ['redis://:hunter2@cache:6379', 'redis://:********@cache:6379'],
    ['postgres://atlas:hunter2@2@db/atlas', 'postgres://atlas:********@db/atlas'],
    ['postgres://atlas:hun"ter2@db/atlas', 'postgres://atlas:********@db/atlas'],
  ])('are masked in addresses: %s', (address, masked) => {
    const text = line({ err: new Error(`cannot reach ${address} now`) });
    expect(text).toContain(masked);
    expect(text).not.toMatch(/hunter2|ter2/);
  });

  test('are masked without swallowing the fields that follow', () => {
    const text = line({ url: 'http://127.0.0.1:8000', nested: { mail: 'a@b' } });
    expect(text).toContain('http://127.0.0.1:8000');
    expect(text).toContain('a@b');
  });
});

describe.each<Format>(['json', 'pretty'])('whatever is logged in %s', (format) => {
  test('stays one line and passes no control character to a terminal', () => {
    const nasty = fc.string({
      unit: fc.constantFrom(
        '\n',
        '\r',
        '\u2028',
        '\u2029',
        '\u0085',
        '\u009b',
        '\x1b',
        '\0',
        '\x7f',
        '"',
        '\\',
        'a',
      ),
    });
    fc.assert(
      fc.property(nasty, nasty, nasty, (message, name, value) => {
        const written = linesOf(format, (logger) =>
          logger.info({ [`n${name}`]: value, err: new Error(value) }, message),
        );
        expect(written).toHaveLength(1);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not come through.
        expect(written[0]).toMatch(/^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\n$/);
      }),
      { numRuns: 300, seed: 9 },
    );
  });

  test('cannot imitate another line', () => {
    const forged = 'x"}\n{"level":"info","msg":"admin logged in"}';
    const written = linesOf(format, (logger) => logger.info({ requestId: forged }, forged));
    expect(written.join('').match(/\n/g)).toHaveLength(1);
    expect(written.join('')).not.toContain('{"level":"info","msg":"admin');
  });
});

test('a line of JSON contains exactly what was logged', () => {
  const texts = fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed() && !text.includes('://'));
  fc.assert(
    fc.property(texts, texts, (message, value) => {
      const [line] = linesOf('json', (logger) => logger.info({ value }, message));
      expect(JSON.parse(line!)).toMatchObject({ msg: message, value });
    }),
    { numRuns: 200, seed: 10 },
  );
});
