import type { Config } from '../config.ts';
import type { Features } from '../features.ts';
import type { Finding } from './doctor-report.ts';

// The sealer runs every second.
const UNSEALED_SECONDS_MAX = 60;

/** Examines where the audit log has its key and its head, and whether it is sealed. */
export async function examineAudit(config: Config, { audit }: Features): Promise<Finding> {
  const { store, counts } = audit.sealing;
  const { sealed, unsealed, unsealedSeconds } = await counts();
  const hasKey = store.keySource !== null;
  const row = [
    'audit',
    hasKey ? 'sealed' : 'not sealed',
    hasKey
      ? `key in ${store.keySource}, head in ${store.headFile} and the log; ${sealed} sealed`
      : `${unsealed} entries`,
    hasKey ? 'changes by anyone without the key are found' : 'changes by a superuser are not found',
  ] as const;
  const problems: string[] = [];
  if (!hasKey && config.ENVIRONMENT === 'production')
    problems.push(
      'The audit log is not sealed. Set AUDIT_KEY to the same 32 random bytes in base64 on every host: openssl rand -base64 32',
    );
  if (hasKey && unsealedSeconds > UNSEALED_SECONDS_MAX)
    problems.push(
      `${unsealed} audit entries are not sealed, the oldest for ${Math.round(unsealedSeconds)} s. Atlas does not run, or the chain is broken: npm run -s atlas -- audit verify`,
    );
  return { row, problems };
}
