import { z } from 'zod';
import { FEATURE_SETTINGS } from './features.ts';
import { coreSettings } from './settings.ts';
import { type EnvFile, readEnvFile } from './utils/env-file.ts';
import type { SettingMeta } from './utils/setting-types.ts';
import { findUnknownSettings, type UnknownSetting } from './utils/unknown-settings.ts';

const settingsSchema = z.object({ ...coreSettings, ...FEATURE_SETTINGS });

/** All settings, typed, under their own names. */
export type Config = z.output<typeof settingsSchema>;
export type SettingName = keyof Config;
export type SettingSource = 'default' | '.env' | 'environment';

/** Settings that S3_ENDPOINT requires. */
const S3_REQUIRED = ['S3_BUCKET', 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'] as const;
/** Settings that OIDC_ISSUER requires. */
const PROVIDER_REQUIRED = ['OIDC_CLIENT_ID', 'OIDC_CLIENT_SECRET'] as const;
/** Settings that KAFKA_SASL_MECHANISM requires. */
const LOGIN_REQUIRED = ['KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD'] as const;

/** Settings that SMTP_URL requires. */
const SMTP_REQUIRED = ['MAIL_FROM'] as const;

/** A setting and its allowed values, for everything generated from the schema. */
export interface SettingDescription extends Readonly<SettingMeta> {
  readonly name: SettingName;
  /** As written in `.env`; empty if unset. */
  readonly defaultText: string;
  readonly allowed: string;
  readonly isUrl: boolean;
}

/** The settings, where each came from, and names that are none. */
export interface LoadedConfig {
  readonly config: Config;
  readonly sources: Record<SettingName, SettingSource>;
  readonly unknown: readonly UnknownSetting[];
}

/** Settings that are valid one by one, and not together. */
interface Conflict {
  readonly exists: (config: Config) => boolean;
  readonly what: string;
  readonly why: string;
  readonly remedy: string;
}

const CONFLICTS: readonly Conflict[] = [
  {
    exists: ({ ADMIN_PORT, API_PORT }) => ADMIN_PORT === API_PORT,
    what: 'ADMIN_PORT is the same as API_PORT',
    why: 'the admin port is private, and the other one is not',
    remedy: 'set ADMIN_PORT to another port, or unset it',
  },
  {
    exists: ({ REDIS_CA_FILE, REDIS_URL }) =>
      REDIS_CA_FILE !== undefined && REDIS_URL?.startsWith('redis://') === true,
    what: 'REDIS_CA_FILE is set, and REDIS_URL starts with redis://',
    why: 'only a connection with rediss:// is encrypted, and its server checked',
    remedy: 'let REDIS_URL start with rediss://, or unset REDIS_CA_FILE',
  },
  {
    exists: ({ KAFKA_CA_FILE, KAFKA_TLS }) => KAFKA_CA_FILE !== undefined && !KAFKA_TLS,
    what: 'KAFKA_CA_FILE is set, and KAFKA_TLS is not',
    why: 'the connections would not be encrypted, nor the brokers checked',
    remedy: 'set KAFKA_TLS=true, or unset KAFKA_CA_FILE',
  },
  {
    exists: ({ KAFKA_SASL_MECHANISM, KAFKA_TLS }) => KAFKA_SASL_MECHANISM === 'PLAIN' && !KAFKA_TLS,
    what: 'KAFKA_SASL_MECHANISM is PLAIN, and KAFKA_TLS is not set',
    why: 'PLAIN sends the password as it is, so the network would see it',
    remedy: 'set KAFKA_TLS=true, or use SCRAM-SHA-512',
  },
  {
    exists: ({ KAFKA_SASL_PASSWORD, KAFKA_SASL_MECHANISM }) =>
      KAFKA_SASL_PASSWORD !== undefined && KAFKA_SASL_MECHANISM === undefined,
    what: 'KAFKA_SASL_PASSWORD is set, and KAFKA_SASL_MECHANISM is not',
    why: 'Atlas would not log in',
    remedy: 'set KAFKA_SASL_MECHANISM, or unset KAFKA_SASL_PASSWORD',
  },
  {
    exists: ({ SMTP_PASSWORD, SMTP_URL }) => SMTP_PASSWORD !== undefined && SMTP_URL === undefined,
    what: 'SMTP_PASSWORD is set, and SMTP_URL is not',
    why: 'Atlas would not send any mail',
    remedy: 'set SMTP_URL, or unset SMTP_PASSWORD',
  },
  {
    exists: ({ SMTP_URL, SMTP_USER, SMTP_PASSWORD }) => {
      if (SMTP_URL === undefined) return false;
      const { username, password } = new URL(SMTP_URL);
      return ((SMTP_USER ?? username) === '') !== ((SMTP_PASSWORD ?? password) === '');
    },
    what: 'the login of SMTP_URL has a user without a password, or a password without a user',
    why: 'Atlas could not log in to the mail server',
    remedy:
      'set SMTP_USER and SMTP_PASSWORD, or put both into SMTP_URL, or neither for a server without a login',
  },
];

const MASK = '********';
const USERINFO = /[^\s,/]+@/g;
const NO_FILE: EnvFile = { values: {}, unassigned: [] };

/** Invalid settings. The message says what failed, why, and what to do. */
export class ConfigError extends Error {}

/**
 * Reads the environment and `.env`; the environment wins. An empty value counts as unset. Reads no file if `envFile` is
 * null. `unknown` lists names that look like settings and are none. Throws {@link ConfigError}.
 */
export function loadConfig(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  envFile: string | null = '.env',
): LoadedConfig {
  const { values: fromFile, unassigned } = envFile === null ? NO_FILE : readFile(envFile);
  const given: Record<string, string> = {};
  const sources = {} as Record<SettingName, SettingSource>;
  for (const name of settingNames) {
    const fromEnvironment = environment[name];
    const value = fromEnvironment || fromFile[name];
    sources[name] = fromEnvironment ? 'environment' : value ? '.env' : 'default';
    if (value) given[name] = value;
  }
  const parsed = settingsSchema.safeParse(given);
  if (!parsed.success) throw new ConfigError(explain(parsed.error, given, sources));
  requireTogether(parsed.data, 'S3_ENDPOINT', S3_REQUIRED);
  requireTogether(parsed.data, 'KAFKA_SASL_MECHANISM', LOGIN_REQUIRED);
  requireTogether(parsed.data, 'SMTP_URL', SMTP_REQUIRED);
  requireTogether(parsed.data, 'OIDC_ISSUER', PROVIDER_REQUIRED);
  const conflict = CONFLICTS.find(({ exists }) => exists(parsed.data));
  if (conflict !== undefined) throw new ConfigError(explainConflict(conflict));
  const names = {
    environment: Object.keys(environment).filter((name) => environment[name]),
    file: Object.keys(fromFile),
    unassigned,
  };
  return { config: parsed.data, sources, unknown: findUnknownSettings(names, settingNames) };
}

function requireTogether(config: Config, name: SettingName, others: readonly SettingName[]): void {
  const missing = config[name] ? others.filter((other) => config[other] === undefined) : [];
  if (missing.length > 0) throw new ConfigError(explainMissing(missing, name));
}

function readFile(path: string): EnvFile {
  try {
    return readEnvFile(path);
  } catch (error) {
    throw new ConfigError((error as Error).message);
  }
}

/**
 * Returns all settings as text that {@link loadConfig} reads back. Unset settings are empty, so that nothing else fills
 * them in. Includes secrets in full: it is for the environment of a process, never for display.
 */
export function environmentOf(config: Config): Record<SettingName, string> {
  const entries = settingNames.map((name) => [name, String(config[name] ?? '')]);
  return Object.fromEntries(entries) as Record<SettingName, string>;
}

function explain(
  error: z.ZodError,
  given: Record<string, string>,
  sources: Record<SettingName, SettingSource>,
): string {
  const blocks = error.issues.map((issue) => {
    const name = issue.path[0] as SettingName;
    const setting = describeSettings().find((described) => described.name === name)!;
    const text = given[name] ?? '';
    const value = setting.secret ? maskSetting(text, setting) : JSON.stringify(maskSetting(text, setting));
    return `  ${name}=${value} (from ${sources[name] === '.env' ? '.env' : 'the environment'})\n    why:  ${issue.message}\n    do:   use ${setting.allowed}`;
  });
  return `Atlas cannot start with these settings:\n${blocks.join('\n')}`;
}

function explainMissing(missing: readonly SettingName[], requiredBy: SettingName): string {
  const blocks = missing.map(
    (name) =>
      `  ${name} is not set\n    why:  ${requiredBy} requires it\n    do:   set ${name}, or unset ${requiredBy}`,
  );
  return `Atlas cannot start with these settings:\n${blocks.join('\n')}`;
}

function explainConflict({ what, why, remedy }: Conflict): string {
  return `Atlas cannot start with these settings:\n  ${what}\n    why:  ${why}\n    do:   ${remedy}`;
}

/**
 * Returns what may be shown of the value of a setting. A secret password that looks like a URL is still one; what is no
 * secret may contain one all the same, in front of an `@`.
 */
export function maskSetting(value: string, setting: Pick<SettingDescription, 'isUrl' | 'secret'>): string {
  if (setting.secret) return setting.isUrl ? maskSecret(value) : MASK;
  return setting.isUrl ? maskUrl(value) : value.replace(USERINFO, `${MASK}@`);
}

/** Returns what may be shown of a URL that is no secret, but may contain one. */
export function maskUrl(value: string): string {
  return /[@?]/.test(value) ? maskSecret(value) : value;
}

/** Masks the password and the query of a URL, over HTTP also the user, and anything else entirely. */
export function maskSecret(value: string): string {
  // Without its scheme, what comes first looks like one: user:password@host is a URL, too.
  if (!URL.canParse(value) || !value.includes('://')) return MASK;
  const parsed = new URL(value);
  if (parsed.username && /^https?:$/.test(parsed.protocol)) parsed.username = MASK;
  if (parsed.password) parsed.password = MASK;
  return parsed.search === '' ? parsed.href : `${parsed.href.slice(0, -parsed.search.length)}?********`;
}

/** Returns the settings in the order of the schema. */
export function describeSettings(): SettingDescription[] {
  return settingNames.map((name) => {
    const schema = settingsSchema.shape[name];
    const description = schema.meta() as SettingMeta;
    const fallback = schema instanceof z.ZodDefault ? schema.def.defaultValue : '';
    const inner =
      schema instanceof z.ZodDefault || schema instanceof z.ZodOptional ? schema.def.innerType : schema;
    return {
      name,
      ...description,
      defaultText: String(fallback),
      allowed: describeAllowed(inner as z.ZodType),
      isUrl: (inner as z.ZodType).meta()?.isUrl === true,
    };
  });
}

function describeAllowed(schema: z.ZodType): string {
  if (schema instanceof z.ZodEnum) return schema.options.join(', ');
  return (schema.meta() as { allowed?: string } | undefined)?.allowed ?? 'text';
}

const settingNames = Object.keys(settingsSchema.shape) as SettingName[];
