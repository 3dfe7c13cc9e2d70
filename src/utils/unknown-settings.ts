import { mostSimilar } from './similar.ts';

/** A name that looks like a setting and is none. */
export interface UnknownSetting {
  readonly name: string;
  readonly source: '.env' | 'environment';
  /** The setting that was probably meant; the name itself if it is not followed by `=`. */
  readonly meant: string | null;
}

/** What is set, and where. */
export interface GivenNames {
  readonly environment: readonly string[];
  readonly file: readonly string[];
  /** Names in the file that are not followed by `=`. */
  readonly unassigned: readonly string[];
}

const UNKNOWN_MAX = 20;
const OWN_PREFIX = /^ATLAS_/i;
// Too short to tell a misspelled setting from the name of another program.
const LENGTH_MIN = 6;
// In a shorter name, two letters make another word: API_ROOT is not API_PORT.
const LONG_LENGTH = 12;

/**
 * Finds names that start like settings and are none. `.env` belongs to Atlas, so there the prefix of a setting, such as
 * `DATABASE_`, is enough. The environment also belongs to other programs, so there a name must be similar to a setting
 * that is not set: REDIS_HOST and DATABASE_HOST are not.
 */
export function findUnknownSettings(given: GivenNames, settings: readonly string[]): UnknownSetting[] {
  const known = new Set(settings);
  const set = new Set([...given.environment, ...given.file]);
  const unassigned = given.unassigned
    .filter((name) => known.has(name))
    .map((name): UnknownSetting => ({ name, source: '.env', meant: name }));
  const prefixes = new Set(settings.map(prefixOf));
  const inFile = given.file
    .filter((name) => !known.has(name))
    .map((name): UnknownSetting => ({ name, source: '.env', meant: settingMeant(name, settings) }))
    .filter(({ name, meant }) => meant !== null || prefixes.has(prefixOf(name)));
  const inEnvironment = given.environment
    .filter((name) => !known.has(name) && !given.file.includes(name))
    .map((name): UnknownSetting => ({ name, source: 'environment', meant: settingMeant(name, settings) }))
    .filter(({ meant }) => meant !== null && !set.has(meant));
  return [...unassigned, ...inFile, ...inEnvironment].slice(0, UNKNOWN_MAX);
}

/** Returns the text for a person. */
export function describeUnknown({ name, source, meant }: UnknownSetting): string {
  if (name === meant) return `${name} has no effect: in .env it is not followed by "=". Write ${name}=VALUE.`;
  const what = `${name} (from ${source === '.env' ? '.env' : 'the environment'}) is not a setting of Atlas and has no effect.`;
  return meant === null
    ? `${what} List the settings with: npm run -s atlas -- config`
    : `${what} Did you mean ${meant}?`;
}

/** The first word with its underscore, which settings of one kind share. */
function prefixOf(name: string): string {
  return `${name.toUpperCase().split(/[_-]/)[0]}_`;
}

function settingMeant(name: string, settings: readonly string[]): string | null {
  if (name.length < LENGTH_MIN) return null;
  const usual = name.toUpperCase().replaceAll('-', '_');
  const similar = mostSimilar(usual, settings, usual.length < LONG_LENGTH ? 1 : 2);
  if (!OWN_PREFIX.test(name)) return similar;
  // Some expect every setting to have the prefix.
  const rest = usual.replace(OWN_PREFIX, '');
  const ofRest = settings.find((setting) => setting === rest || setting === `API_${rest}`);
  return similar ?? ofRest ?? null;
}
