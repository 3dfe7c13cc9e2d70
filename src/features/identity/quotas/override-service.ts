import { AtlasError } from '../../../errors.ts';
import type { Actor } from '../../../utils/actor.ts';
import type { Done, Idempotency } from '../../idempotency.ts';
import { OPERATORS } from '../organization-id.ts';
import type { DefaultQuotas, Quota, QuotaSubject } from '../quota.ts';
import type { QuotaRepository } from './repository.ts';

/** The quota of a key or an organization. */
export interface EffectiveQuota extends QuotaSubject, Quota {
  /** When an operator set it; null if it is the default. */
  readonly changedAt: Date | null;
}

/**
 * The quotas that operators set in place of the defaults. All workers apply a change within 5 s. Each throws
 * `quota_subject_not_found` if there is no such key or organization.
 */
export interface QuotaOverrideService {
  get(subject: QuotaSubject, signal: AbortSignal): Promise<EffectiveQuota>;
  /** Lists what was set, by kind and ID. */
  list(
    after: QuotaSubject | null,
    limit: number,
    signal: AbortSignal,
  ): Promise<{ quotas: EffectiveQuota[]; next: QuotaSubject | null }>;
  set(
    subject: QuotaSubject,
    quota: Quota,
    actor: Actor,
    signal: AbortSignal,
    idempotencyKey?: string,
  ): Promise<Done<EffectiveQuota>>;
  /** Makes the default apply again. */
  reset(subject: QuotaSubject, actor: Actor, signal: AbortSignal): Promise<void>;
}

export function createQuotaOverrideService(
  repository: QuotaRepository,
  defaults: DefaultQuotas,
  idempotency: Idempotency,
): QuotaOverrideService {
  const get = async (
    subject: QuotaSubject,
    options: Parameters<QuotaRepository['find']>[1],
  ): Promise<EffectiveQuota> => {
    const found = await repository.find(subject, options);
    if (found === undefined) throw notFound(subject);
    return { ...subject, ...(found ?? { ...defaults[subject.kind], changedAt: null }) };
  };
  return {
    get: (subject, signal) => get(subject, { signal }),
    async list(after, limit, signal) {
      const { quotas, hasMore } = await repository.list(after, limit, signal);
      const last = quotas.at(-1);
      return { quotas, next: hasMore && last ? { kind: last.kind, id: last.id } : null };
    },
    async set(subject, quota, actor, signal, key) {
      const { result, replayed } = await idempotency.run(
        { owner: OPERATORS, key, content: ['setQuota', subject, quota] },
        async (tx) => {
          const saved = await repository.save(subject, quota, actor, { signal, tx });
          return saved === undefined ? get(subject, { signal, tx }) : { ...subject, ...saved };
        },
        signal,
      );
      // A retry returns what applies by then, which others may have set or reset meanwhile.
      return { result: replayed ? await get(subject, { signal }) : result, replayed };
    },
    async reset(subject, actor, signal) {
      if (!(await repository.remove(subject, actor, signal))) throw notFound(subject);
    },
  };
}

function notFound({ kind, id }: QuotaSubject): AtlasError {
  return new AtlasError('quota_subject_not_found', `There is no ${kind} with the ID ${id}.`);
}
