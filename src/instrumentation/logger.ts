import pino, { type DestinationStream, type Logger } from 'pino';
import type { Config } from '../config.ts';

export type { Logger };

// Names under which a secret could come, at the top of a line or one level down.
const SECRET_NAMES = [
  'authorization',
  'cookie',
  'password',
  'secret',
  'token',
  'apiKey',
  'key',
  'databaseUrl',
];
const REDACTED = [...SECRET_NAMES, ...SECRET_NAMES.map((name) => `*.${name}`)];
const API_KEY = /atlas_live_[0-9A-Za-z_]{8,}/g;
const URL_PASSWORD = /(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@]*:)[^\s@]+@/gi;

/**
 * Structured logs: one JSON object a line, or aligned text in development. Written to standard output by pino, without
 * its worker transports (they do not run on Bun). Secrets are masked by name and by their looks.
 */
export function createLogger(
  config: Pick<Config, 'LOG_LEVEL' | 'LOG_FORMAT' | 'ENVIRONMENT'>,
  destination: DestinationStream = pino.destination({ fd: 1, sync: true }),
): Logger {
  const pretty =
    config.LOG_FORMAT === 'pretty' || (config.LOG_FORMAT === 'auto' && config.ENVIRONMENT === 'development');
  const masked: DestinationStream = {
    write: (line) => destination.write(pretty ? prettify(maskSecrets(line)) : maskSecrets(line)),
  };
  return pino(
    {
      level: config.LOG_LEVEL,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: REDACTED, censor: '********' },
      serializers: { err: pino.stdSerializers.errWithCause },
    },
    masked,
  );
}

function maskSecrets(line: string): string {
  return line.replace(API_KEY, 'atlas_live_********').replace(URL_PASSWORD, '$1********@');
}

/** One line of JSON as one line of text: time, level, message, then the fields. Control characters stay escaped. */
export function prettify(line: string): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const rest = Object.entries(fields).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const text = msg === undefined ? '' : JSON.stringify(msg).slice(1, -1);
  return `${String(time).slice(11, 23)} ${String(level).toUpperCase().padEnd(5)} ${[text, ...rest].join(' ')}\n`;
}
