import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseToken } from '../features/identity/keys/domain.ts';
import type { KeyService } from '../features/identity/keys/service.ts';
import { ALL_SCOPES, SCOPES } from '../features.ts';
import { table } from './output.ts';
import type { WithService } from './session.ts';

interface CreateOptions {
  readonly owner: string;
  readonly name: string;
  readonly scopes: string[];
  readonly expiresDays?: number;
}

const DAY_MS = 86_400_000;

export function addKeyCommand(program: Command, withKeys: WithService<KeyService>): void {
  const key = program.command('key').description('create, list and revoke API keys');
  const scopes = Object.entries(SCOPES).map(([scope, allows]) => `  ${scope.padEnd(16)} ${allows}`);

  key
    .command('create')
    .description('make a key and print it, once')
    .requiredOption('--name <text>', 'what it is for')
    .option('--owner <text>', 'who owns it; owners do not share idempotency keys', 'owner')
    .addOption(
      new Option('--scopes <list>', 'what it may do, comma-separated')
        .argParser(parseScopes)
        .default(ALL_SCOPES, 'all'),
    )
    .addOption(new Option('--expires-days <days>', 'when it ends').argParser(parseDays))
    .addHelpText('after', `\nScopes:\n${scopes.join('\n')}`)
    .action(({ owner, name, scopes: wanted, expiresDays }: CreateOptions) =>
      withKeys(async (keys) => {
        const expiresAt = expiresDays === undefined ? null : new Date(Date.now() + expiresDays * DAY_MS);
        const { token } = await keys.create({ owner, name, scopes: wanted, expiresAt });
        process.stderr.write('Keep this key: it is shown once and cannot be read again.\n');
        console.log(token);
      }),
    );

  key
    .command('list')
    .description('list all keys, without their secrets')
    .action(() =>
      withKeys(async (keys) => {
        const day = (date: Date | null) => date?.toISOString().slice(0, 16).replace('T', ' ') ?? '–';
        const rows = (await keys.list()).map((found) => [
          found.id,
          found.owner,
          found.name,
          found.revokedAt
            ? 'revoked'
            : found.expiresAt && found.expiresAt < new Date()
              ? 'expired'
              : 'active',
          day(found.createdAt),
          day(found.expiresAt),
          day(found.lastUsedAt),
          found.scopes.length === ALL_SCOPES.length ? 'all' : found.scopes.join(','),
        ]);
        console.log(
          table(['id', 'owner', 'name', 'state', 'created', 'expires', 'last used', 'scopes'], rows),
        );
      }),
    );

  key
    .command('revoke')
    .description('end a key; it is refused within 5 s')
    .argument('<key>', 'the key itself, or the id that `key list` shows')
    .action((given: string) =>
      withKeys(async (keys) => {
        // Whoever found a leaked key has only the key. Its id is in it; its secret is not printed again.
        const id = parseToken(given)?.id ?? given;
        if (!(await keys.revoke(id)))
          throw new Error(
            `No key was revoked.\n  why:  there is no active key ${id}\n  do:   look the id up with: npm run -s atlas -- key list`,
          );
        console.log(`${id} is revoked.`);
      }),
    );
}

function parseScopes(text: string): string[] {
  const wanted = text.split(',').map((scope) => scope.trim());
  const unknown = wanted.filter((scope) => !ALL_SCOPES.includes(scope));
  if (unknown.length > 0)
    throw new InvalidArgumentError(`Unknown: ${unknown.join(', ')}. There are: ${ALL_SCOPES.join(', ')}.`);
  return wanted;
}

function parseDays(text: string): number {
  const days = Number(text);
  if (!(Number.isInteger(days) && days >= 1 && days <= 3650))
    throw new InvalidArgumentError('It must be a number of days from 1 to 3650.');
  return days;
}
