import type { Command } from 'commander';
import { requireMigrated } from '../adapters/postgres/migrations.ts';
import { storeSecretsSealed } from '../adapters/postgres/secrets-at-rest.ts';
import type { Deps } from '../deps.ts';
import type { StoredSecrets } from '../features/stored-secrets.ts';
import { storedSecretsOf } from '../features/stored-secrets.ts';
import { createFeatures } from '../features.ts';
import { generateKey } from '../utils/sealing.ts';
import { plural } from './output.ts';
import { withDeps } from './session.ts';

const FAILED_SHOWN_MAX = 20;

export function addSecretsCommand(program: Command): void {
  const secrets = program.command('secrets').description('create keys for secrets, and seal what is stored');

  secrets
    .command('key')
    .description('print a new random key for SECRETS_KEY or AUDIT_KEY; stores nothing')
    .action(() => console.log(generateKey()));

  secrets
    .command('rotate')
    .description('seal every stored secret with SECRETS_KEY; safe to interrupt and to repeat')
    .action(() => withDeps(rotate));
}

async function rotate(deps: Deps): Promise<void> {
  await requireMigrated(deps.database);
  const { keyId } = deps.sealing;
  if (keyId === null) throw withoutKey();
  // First, so that no secret is added plain behind the rotation.
  await storeSecretsSealed(deps.database);
  const results = [];
  for (const each of storedSecretsOf(createFeatures(deps))) results.push(await sealAll(each));
  const total = results.reduce((sum, { sealed }) => sum + sealed, 0);
  console.log(
    total === 0
      ? `No secret had to be sealed. The key is ${keyId}.`
      : `Sealed ${plural(total, 'secret')} with the key ${keyId}.`,
  );
  const failed = results.flatMap((result) => result.failed);
  if (failed.length === 0) return;
  const shown = failed.slice(0, FAILED_SHOWN_MAX).join(', ');
  throw new Error(
    `${plural(failed.length, 'secret')} could not be opened, and ${failed.length === 1 ? 'is' : 'are'} unchanged.\n  why:  sealed with a key that this host does not have, or changed afterwards: ${shown}${failed.length > FAILED_SHOWN_MAX ? ', …' : ''}\n  do:   add the former key to SECRETS_FORMER_KEYS and repeat the command; if it is lost, replace the secrets`,
  );
}

/** Seals all secrets of a kind in steps, and reports each step on standard error. */
async function sealAll({
  name,
  count,
  sealStep,
}: StoredSecrets): Promise<{ sealed: number; failed: string[] }> {
  const { total, plain, otherKey } = await count();
  process.stderr.write(`${name}: ${total} stored, ${plain} in plain text, ${otherKey} under another key\n`);
  const failed: string[] = [];
  let sealed = 0;
  for (let afterId: string | null = null; ; ) {
    const step = await sealStep(afterId);
    sealed += step.sealed;
    failed.push(...step.failed);
    if (step.sealed > 0) process.stderr.write(`${name}: ${sealed} of ${plain + otherKey} sealed\n`);
    if (step.nextId === null) return { sealed, failed: failed.map((id) => `${name} ${id}`) };
    afterId = step.nextId;
  }
}

const withoutKey = () =>
  new Error(
    `Nothing was sealed.\n  why:  SECRETS_KEY is not set\n  do:   print a key with: npm run -s atlas -- secrets key, and set SECRETS_KEY to it on every host`,
  );
