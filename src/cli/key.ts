import { type Command, InvalidArgumentError, Option } from 'commander';
import { AtlasError } from '../errors.ts';
import {
  type ApiKey,
  OVERLAP_SECONDS_DEFAULT,
  OVERLAP_SECONDS_MAX,
  stateOf,
} from '../features/identity/keys/domain.ts';
import type { KeyService } from '../features/identity/keys/service.ts';
import { OPERATORS } from '../features/identity/organization-id.ts';
import { identityProblems } from '../features/identity/problems.ts';
import { parseToken } from '../features/identity/token.ts';
import { ALL_SCOPES, OPERATOR_SCOPES, SCOPES } from '../features.ts';
import { mostSimilar } from '../utils/similar.ts';
import { table } from './output.ts';
import { parseName } from './parse-name.ts';
import type { WithService } from './session.ts';

interface CreateOptions {
  readonly owner: string;
  readonly kind: 'live' | 'test';
  readonly name: string;
  readonly scopes?: string[];
  readonly operator?: boolean;
  readonly expiresDays?: number;
}

const DAY_MS = 86_400_000;
const SCOPE_WIDTH = Math.max(...ALL_SCOPES.map(({ length }) => length));

export function addKeyCommand(program: Command, withKeys: WithService<KeyService>): void {
  const key = program.command('key').description('create, list, rotate, and revoke API keys');
  addCreation(key, withKeys);
  addList(key, withKeys);
  addRotation(key, withKeys);
  addRevocation(key, withKeys);
}

function addList(key: Command, withKeys: WithService<KeyService>): void {
  key
    .command('list')
    .description('list all keys, without their secrets')
    .option('--json', 'print as JSON')
    .action(({ json }: { json?: boolean }) =>
      withKeys(async (keys) => {
        const found = await keys.list();
        if (json) return console.log(JSON.stringify(found.map(toJson), null, 2));
        const day = (date: Date | null) => date?.toISOString().slice(0, 16).replace('T', ' ') ?? '–';
        const rows = found.map((key) => [
          key.id,
          key.kind === 'operator' ? '(operator)' : key.owner,
          key.kind,
          key.name,
          stateOf(key),
          day(key.createdAt),
          day(key.expiresAt),
          day(key.lastUsedAt),
          key.scopes.length === scopesOf(key.kind).length ? 'all' : key.scopes.join(','),
        ]);
        console.log(
          table(['id', 'owner', 'kind', 'name', 'state', 'created', 'expires', 'last used', 'scopes'], rows),
        );
      }),
    );
}

function addRotation(key: Command, withKeys: WithService<KeyService>): void {
  key
    .command('rotate')
    .description('replace a key by a new one with the same name, kind, scopes and lifetime, and print it')
    .argument('<id>', 'the ID from `key list`, or the key itself')
    .addOption(
      new Option('--overlap-seconds <seconds>', 'for how long the old key stays valid, at most 7 days')
        .argParser(parseOverlap)
        .default(OVERLAP_SECONDS_DEFAULT),
    )
    .action((given: string, { overlapSeconds }: { overlapSeconds: number }) =>
      withKeys(async (keys) => {
        const { id, token, old } = await orExplain('replaced', keys.rotate(idOf(given), overlapSeconds));
        process.stderr.write(
          `Created the key with the ID ${id}. Save it now: it is shown only once.\nThe key ${old.id} expires at ${old.expiresAt!.toISOString()}.\n`,
        );
        console.log(token);
      }),
    );
}

function addRevocation(key: Command, withKeys: WithService<KeyService>): void {
  key
    .command('revoke')
    .description('revoke a key; it stops working within 5 s')
    .argument('<id>', 'the ID from `key list`, or the key itself')
    .action((given: string) =>
      withKeys(async (keys) => {
        const id = idOf(given);
        if (!(await keys.revoke(id)))
          throw new Error(
            `No key was revoked.\n  why:  there is no active key with the ID ${id}\n  do:   find the ID with: npm run -s atlas -- key list`,
          );
        console.log(`Revoked ${id}.`);
      }),
    );
}

function addCreation(key: Command, withKeys: WithService<KeyService>): void {
  const scopes = [...ALL_SCOPES, ...OPERATOR_SCOPES].map(
    (scope) => `  ${scope.padEnd(SCOPE_WIDTH)} ${SCOPES[scope]}`,
  );
  key
    .command('create')
    .description('create a key and print it; it is shown only once')
    .requiredOption('--name <text>', 'what the key is for', (text) => parseName(parseText(text)))
    .option(
      '--owner <text>',
      'the organization that owns the key, and what it creates; a new ID creates one',
      parseText,
      'owner',
    )
    .addOption(
      new Option(
        '--kind <kind>',
        'live, or test: keys for the test space of the owner, apart from its live data',
      )
        .choices(['live', 'test'])
        .default('live'),
    )
    .option(
      '--scopes <list>',
      'comma-separated scopes (default: all that the key can have, but transfers:force)',
      parseScopes,
    )
    .addOption(
      new Option(
        '--operator',
        'create the key of an operator, for /v1/operator: it has no owner and reaches no data',
      ).conflicts('kind'),
    )
    .addOption(
      new Option('--expires-days <days>', 'days until the key expires (default: never)').argParser(parseDays),
    )
    .addHelpText('after', `\nScopes:\n${scopes.join('\n')}`)
    .action(({ owner, kind, name, scopes, operator = false, expiresDays }: CreateOptions) => {
      const allowed = operator ? OPERATOR_SCOPES : ALL_SCOPES;
      if (scopes) requireAllowed(scopes, allowed, operator);
      const expiresAt = expiresDays === undefined ? null : new Date(Date.now() + expiresDays * DAY_MS);
      const whose = operator ? ({ owner: OPERATORS, kind: 'operator' } as const) : { owner, kind };
      const content = { ...whose, name, scopes: scopes ?? allowed.filter(isByDefault), expiresAt };
      return withKeys(async (keys) => {
        const { id, token } = await orExplain('created', keys.create(content));
        // Standard output has the key alone, so that a script can capture it.
        process.stderr.write(`Created the key with the ID ${id}. Save it now: it is shown only once.\n`);
        console.log(token);
      });
    });
}

/** A key may overdraw accounts only if somebody wanted that. */
const isByDefault = (scope: string) => scope !== 'transfers:force';
const scopesOf = (kind: ApiKey['kind']) => (kind === 'operator' ? OPERATOR_SCOPES : ALL_SCOPES);

/** Awaits a change, and explains why it was refused. */
async function orExplain<T>(change: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const problems: Readonly<Record<string, { readonly remedy: string }>> = identityProblems;
    const problem = error instanceof AtlasError ? problems[error.code] : undefined;
    if (problem === undefined) throw error;
    throw new Error(
      `No key was ${change}.\n  why:  ${(error as AtlasError).message}\n  do:   ${problem.remedy}`,
    );
  }
}

/** A person who finds a leaked key has only the key. It contains the ID; the secret is not printed again. */
function idOf(given: string): string {
  return parseToken(given)?.id ?? given;
}

/** The shape of `key list --json`, documented in docs/commands.md. */
function toJson(key: ApiKey) {
  return { ...key, state: stateOf(key) };
}

function parseScopes(text: string): string[] {
  const scopes = text.split(',').map((scope) => scope.trim());
  const known = Object.keys(SCOPES);
  const unknown = scopes.filter((scope) => !known.includes(scope));
  if (unknown.length > 0) {
    const meant = mostSimilar(unknown[0]!, known);
    const guess = meant === null ? '' : ` Did you mean ${meant}?`;
    throw new InvalidArgumentError(`Unknown: ${unknown.join(', ')}.${guess} Allowed: ${known.join(', ')}.`);
  }
  return scopes;
}

function requireAllowed(scopes: readonly string[], allowed: readonly string[], isOperator: boolean): void {
  const others = scopes.filter((scope) => !allowed.includes(scope));
  if (others.length === 0) return;
  const whose = isOperator ? 'the key of an operator' : 'a key that is not of an operator';
  throw new Error(
    `No key was created.\n  why:  ${whose} cannot have ${others.join(', ')}\n  do:   ${isOperator ? 'omit' : 'add'} --operator`,
  );
}

function parseText(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It must not be blank.');
  return text;
}

function parseOverlap(text: string): number {
  const seconds = Number(text);
  if (!(Number.isInteger(seconds) && seconds >= 0 && seconds <= OVERLAP_SECONDS_MAX))
    throw new InvalidArgumentError(`It must be a whole number from 0 to ${OVERLAP_SECONDS_MAX}.`);
  return seconds;
}

function parseDays(text: string): number {
  const days = Number(text);
  if (!(Number.isInteger(days) && days >= 1 && days <= 3650))
    throw new InvalidArgumentError('It must be a whole number from 1 to 3650.');
  return days;
}
