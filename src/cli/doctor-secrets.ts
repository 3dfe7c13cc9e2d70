import { areSecretsSealed } from '../adapters/postgres/secrets-at-rest.ts';
import type { Deps } from '../deps.ts';
import { storedSecretsOf } from '../features/stored-secrets.ts';
import type { Features } from '../features.ts';
import type { Finding } from './doctor-report.ts';
import { plural } from './output.ts';

/** Examines how secrets are stored. Plain ones need no remark only in embedded development mode. */
export async function examineSecrets(deps: Deps, features: Features): Promise<Finding> {
  const { sealing, database, databaseMode, config } = deps;
  const areSealed = await areSecretsSealed(database);
  const counts = await Promise.all(storedSecretsOf(features).map((each) => each.count()));
  const sum = (kind: 'total' | 'plain' | 'otherKey') => counts.reduce((all, count) => all + count[kind], 0);
  const [total, plain, otherKey] = [sum('total'), sum('plain'), sum('otherKey')];
  const isPlain = plain > 0 || sealing.keyId === null || !areSealed;
  const key = sealing.keyId === null ? 'SECRETS_KEY is not set' : `key ${sealing.keyId}`;
  const row = [
    'secrets',
    isPlain ? 'plain text' : 'sealed',
    `${key}, ${plural(sealing.formerKeyIds.length, 'former key')}; ${total} stored, ${plain} in plain text`,
    isPlain ? 'readable by anyone who can read the database or a backup' : 'useless without SECRETS_KEY',
  ] as const;
  const remarks: string[] = [];
  if (isPlain && !(databaseMode === 'embedded' && config.ENVIRONMENT === 'development'))
    remarks.push(
      sealing.keyId === null
        ? 'Secrets are stored in plain text. Print a key with: npm run -s atlas -- secrets key, set SECRETS_KEY to it on every host, then run: npm run -s atlas -- secrets rotate'
        : 'Secrets are stored in plain text. Once no host of the release before runs, seal them: npm run -s atlas -- secrets rotate',
    );
  if (otherKey > 0)
    remarks.push(
      `${plural(otherKey, 'secret')} ${otherKey === 1 ? 'is' : 'are'} sealed with another key than SECRETS_KEY. Run: npm run -s atlas -- secrets rotate`,
    );
  return sealing.allowsPlain ? { row, notes: remarks } : { row, problems: remarks };
}
