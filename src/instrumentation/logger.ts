import pino, { type DestinationStream, type Logger } from 'pino';
import type { Config } from '../config.ts';

export type { Logger };

// Names of members that may hold a secret, at the top level of a line or one below.
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
// Applied to a line of JSON, so a match stays within one string: a quote in a password is always escaped.
const URL_PASSWORD = /(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@"\\]*:)(?:[^\s"\\]|\\["\\])+@/gi;
// JSON does not escape these, and viewers treat them as line breaks or terminal commands.
const CONTROLS = /[\u007f-\u009f\u2028\u2029]/g;

/**
 * Creates the logger: one JSON object per line, or aligned text in development. pino writes to standard output without
 * its worker transports, which do not run on Bun. Secrets are masked by name and by pattern.
 */
export function createLogger(
  config: Pick<Config, 'LOG_LEVEL' | 'LOG_FORMAT' | 'ENVIRONMENT'>,
  destination: DestinationStream = pino.destination({ fd: 1, sync: true }),
): Logger {
  const pretty =
    config.LOG_FORMAT === 'pretty' || (config.LOG_FORMAT === 'auto' && config.ENVIRONMENT === 'development');
  const guarded: DestinationStream = {
    write: (line) => {
      const masked = maskSecrets(line);
      destination.write(escapeControls(pretty ? prettify(masked) : masked));
    },
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
    guarded,
  );
}

function maskSecrets(line: string): string {
  return line.replace(API_KEY, 'atlas_live_********').replace(URL_PASSWORD, '$1********@');
}

function escapeControls(text: string): string {
  return text.replace(CONTROLS, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Formats a line of JSON as text: time, level, message, fields. Characters that JSON escapes stay escaped. */
function prettify(line: string): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const rest = Object.entries(fields).map(([name, value]) => `${escaped(name)}=${JSON.stringify(value)}`);
  const text = msg === undefined ? '' : escaped(msg);
  return `${String(time).slice(11, 23)} ${String(level).toUpperCase().padEnd(5)} ${[text, ...rest].join(' ')}\n`;
}

function escaped(text: unknown): string {
  return JSON.stringify(text).slice(1, -1);
}
