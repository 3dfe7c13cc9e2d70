import type { RequestQuota } from '../../../envelope/exchange.ts';
import {
  type DefaultQuotas,
  isLimited,
  type Quota,
  type QuotaOverrides,
  type QuotaSubject,
} from '../quota.ts';
import { CallerQuota, type Refuse } from './caller-quota.ts';
import type { Exceeded, Meter } from './meter.ts';
import type { Meters } from './meters.ts';
import { quotaExceeded } from './quota-refusal.ts';

/** Requests refused since the start. */
export type QuotaRefusals = Readonly<Record<QuotaSubject['kind'], Readonly<Record<Exceeded, number>>>>;

/** Quotas of API keys and organizations. */
export interface QuotaService {
  /**
   * Returns what bounds the requests of a key that was just read, or null if nothing does. The requests for the test
   * space of an organization (another owner) count apart from its live ones. Sessions have the quotas of keys; one
   * that acts for no organization (an empty owner) has no other.
   */
  ofCaller(keyId: string, owner: string, overrides: QuotaOverrides): RequestQuota | null;
  readonly refusals: QuotaRefusals;
}

interface PreparedRefusal {
  readonly quota: Quota;
  readonly error: Error;
}

export function createQuotaService(meters: Meters, defaults: DefaultQuotas): QuotaService {
  const refusals = {
    key: { requests: 0, concurrent_requests: 0 },
    organization: { requests: 0, concurrent_requests: 0 },
  };
  const prepared = {
    requests: new WeakMap<Meter, PreparedRefusal>(),
    concurrent_requests: new WeakMap<Meter, PreparedRefusal>(),
  };

  const refuse: Refuse = (meter, exceeded) => {
    const { quota, subject } = meter;
    refusals[subject.kind][exceeded]++;
    const known = prepared[exceeded].get(meter);
    if (known?.quota === quota) return known.error;
    const error = quotaExceeded(subject.kind, quota, exceeded);
    prepared[exceeded].set(meter, { quota, error });
    return error;
  };

  const meterOf = (kind: QuotaSubject['kind'], id: string, override: Quota | null) => {
    const quota = override ?? defaults[kind];
    return isLimited(quota) ? meters.of({ kind, id }, quota) : null;
  };

  return {
    refusals,
    ofCaller(keyId, owner, { keyQuota, organizationQuota }) {
      const key = meterOf('key', keyId, keyQuota);
      const organization = owner === '' ? null : meterOf('organization', owner, organizationQuota);
      return key === null && organization === null ? null : new CallerQuota(key, organization, refuse);
    },
  };
}
