import pino, { type DestinationStream, type Logger } from 'pino';
import type { Config } from '../config.ts';
import { type LogDrops, LogLimit } from './log-limit.ts';
import { openLogOutput } from './log-output.ts';

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
const TOKEN = /(atlas_[a-z]+_)[0-9A-Za-z]{8,}[0-9A-Za-z_]*/g;
// Applied to a line of JSON, so a match stays within one string: a quote in a password is always escaped.
const URL_PASSWORD = /(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@"\\]*:)(?:[^\s"\\]|\\["\\])+@/gi;
// JSON does not escape these, and viewers treat them as line breaks or terminal commands.
const CONTROLS = /[\u007f-\u009f\u2028\u2029]/g;

// Of one host in a second; its processes share them. What operators should know fits many times.
const HOST_LINES = 500;
const HOST_DEBUG_LINES = 20_000;

const DROPS = Symbol('drops');
const BOUNDED_BY_CALLER = Symbol('bounded by the caller');

/** Where lines go. One that can be slower than the writer says so, and counts what it has dropped. */
export interface LogDestination extends DestinationStream {
  readonly isBlocked?: boolean;
  readonly dropped?: number;
}

/**
 * Creates the logger: one JSON object per line, or aligned text in development. pino writes without its worker
 * transports, which do not run on Bun. Secrets are masked by name and by pattern, and what is logged is bounded:
 * see {@link LogLimit} and {@link LogOutput}. `processes` share the bounds of the host.
 */
export function createLogger(
  config: Pick<Config, 'LOG_LEVEL' | 'LOG_FORMAT' | 'ENVIRONMENT'>,
  destination: LogDestination = openLogOutput(),
  processes = 1,
): Logger {
  const limits = {
    linesMax: shareOf(HOST_LINES, processes),
    debugLinesMax: shareOf(HOST_DEBUG_LINES, processes),
  };
  const limit = new LogLimit(limits, pino.levels.values.info!, () => reportDrops());
  const logger = pino(
    {
      level: config.LOG_LEVEL,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: REDACTED, censor: '********' },
      serializers: { err: pino.stdSerializers.errWithCause },
      hooks: {
        logMethod(args, method, level) {
          if (BOUNDED_BY_CALLER in this) return method.apply(this, args);
          const [fields, message] = typeof args[0] === 'object' ? args : [null, args[0]];
          const again = (repeated: number) =>
            method.apply(this, [{ ...(fields as object), repeated }, message] as unknown as typeof args);
          if (limit.admits(level, message, fields, again)) method.apply(this, args);
        },
      },
    },
    guarded(config, destination, () => limit.startInterval()),
  );
  const drops: LogDrops = {
    sampled: 0,
    get repeated() {
      return limit.repeated;
    },
    get rate() {
      return limit.rate;
    },
    get output() {
      return destination.dropped ?? 0;
    },
  };
  Object.defineProperty(logger, DROPS, { value: drops });
  const reportDrops = dropReport(boundedByCaller(logger), drops, destination, limit);
  return logger;
}

/** Returns the counts of the lines that this logger, or the one it is a child of, has dropped. */
export function logDropsOf(logger: Logger): LogDrops {
  return (logger as unknown as Record<typeof DROPS, LogDrops>)[DROPS];
}

/** Returns a logger without bounds, for a caller that bounds its lines itself. */
export function boundedByCaller(logger: Logger): Logger {
  return Object.defineProperty(logger.child({}), BOUNDED_BY_CALLER, { value: true });
}

/** Returns the share of what a host may do in a second that one of its processes gets. */
export function shareOf(host: number, processes: number): number {
  return Math.max(1, Math.floor(host / processes));
}

/** Masks and formats each line. `onDropped` is called when the destination has dropped one. */
function guarded(
  { LOG_FORMAT, ENVIRONMENT }: Pick<Config, 'LOG_FORMAT' | 'ENVIRONMENT'>,
  destination: LogDestination,
  onDropped: () => void,
): DestinationStream {
  const isPretty = LOG_FORMAT === 'pretty' || (LOG_FORMAT === 'auto' && ENVIRONMENT === 'development');
  return {
    write: (line) => {
      const before = destination.dropped;
      const masked = maskSecrets(line);
      destination.write(escapeControls(isPretty ? prettify(masked) : masked));
      if (destination.dropped !== before) onDropped();
    },
  };
}

/** Returns a function that logs how many lines were dropped since its last call, if any. */
function dropReport(
  logger: Logger,
  drops: LogDrops,
  destination: LogDestination,
  limit: LogLimit,
): () => void {
  let reported = { rate: 0, output: 0 };
  return () => {
    const { rate, output } = drops;
    const since = { rate: rate - reported.rate, output: output - reported.output };
    if (since.rate + since.output === 0) return;
    // It would be dropped too.
    if (destination.isBlocked) return limit.startInterval();
    logger.warn(since, 'log lines were dropped');
    reported = { rate, output };
  };
}

function maskSecrets(line: string): string {
  return line.replace(TOKEN, '$1********').replace(URL_PASSWORD, '$1********@');
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
