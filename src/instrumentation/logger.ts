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
// Works on a line of JSON, so it stays inside one string: a quote can only be part of a password when it is escaped.
const URL_PASSWORD = /(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@"\\]*:)(?:[^\s"\\]|\\["\\])+@/gi;
// JSON leaves these as they are, and viewers take them for a new line or a command to the terminal.
const CONTROLS = /[\u007f-\u009f\u2028\u2029]/g;

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

/** One line of JSON as one line of text: time, level, message, then the fields. What JSON escapes stays escaped. */
function prettify(line: string): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const rest = Object.entries(fields).map(([name, value]) => `${escaped(name)}=${JSON.stringify(value)}`);
  const text = msg === undefined ? '' : escaped(msg);
  return `${String(time).slice(11, 23)} ${String(level).toUpperCase().padEnd(5)} ${[text, ...rest].join(' ')}\n`;
}

function escaped(text: unknown): string {
  return JSON.stringify(text).slice(1, -1);
}
