import type { RequestQuota, RequestSlots } from '../../../envelope/exchange.ts';
import type { Exceeded, Meter } from './meter.ts';

/** Returns the error that refuses a request, and counts it. */
export type Refuse = (meter: Meter, exceeded: Exceeded) => Error;

/** The quotas of one caller: that of its key, and that of its organization. A request needs both. */
export class CallerQuota implements RequestQuota {
  readonly #key: Meter | null;
  readonly #organization: Meter | null;
  readonly #refuse: Refuse;
  #both: RequestSlots | null = null;

  constructor(key: Meter | null, organization: Meter | null, refuse: Refuse) {
    this.#key = key;
    this.#organization = organization;
    this.#refuse = refuse;
  }

  take(nowMs: number): Error | null {
    const key = this.#key;
    if (key !== null) {
      const exceeded = key.take(nowMs);
      if (exceeded !== null) return this.#refuse(key, exceeded);
    }
    const organization = this.#organization;
    if (organization !== null) {
      const exceeded = organization.take(nowMs);
      if (exceeded !== null) {
        key?.putBack();
        return this.#refuse(organization, exceeded);
      }
    }
    return null;
  }

  get slots(): RequestSlots | null {
    const key = this.#key === null ? null : this.#key.slots;
    const organization = this.#organization === null ? null : this.#organization.slots;
    if (key === null) return organization;
    if (organization === null) return key;
    // A meter never replaces its slots, so these are the ones of every later request, too.
    this.#both ??= {
      release() {
        key.release();
        organization.release();
      },
    };
    return this.#both;
  }
}
