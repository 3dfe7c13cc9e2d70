import { EXPIRY_SECONDS_MAX, toHoldId } from '../hold.ts';
import type { IdMode } from '../import.ts';
import { type DerivedId, type Movement, sortMembers } from '../movement.ts';
import type { LineOf } from './lines.ts';

/** A line that moves or reserves money, with its number. */
export interface MovementLine {
  readonly line: number;
  readonly value: LineOf<'transfer'> | LineOf<'hold'>;
}

/** What the IDs of an import depend on. */
export interface IdRules {
  readonly importId: string;
  readonly owner: string;
  readonly ids: IdMode;
  /** When the import was created, in RFC 3339. */
  readonly createdAt: string;
}

type Derive = (owner: string, name: string) => DerivedId;

// Callers choose no such ID: Atlas assigns them.
const ASSIGNED = /^.{14}8.{4}[89ab]/;

/** Makes orders of the lines of a file: the same ones whenever they are made again. */
export class ImportedIds {
  readonly #derive: Derive;
  readonly #rules: IdRules;

  constructor(derive: Derive, rules: IdRules) {
    this.#derive = derive;
    this.#rules = rules;
  }

  account(id: string): string {
    const { owner, ids } = this.#rules;
    return ids === 'keep' ? id : this.#derive(owner, `import account ${id}`).id;
  }

  /** An ID that Atlas has assigned elsewhere is derived in any case: nobody else may choose one. */
  transfer(id: string): { readonly id: string; readonly formerId?: string } {
    const { owner, ids } = this.#rules;
    if (ids === 'keep' && !ASSIGNED.test(id)) return { id };
    return this.#derive(owner, `import transfer ${id}`);
  }

  hold(id: string): string {
    return toHoldId(this.#derive(this.#rules.owner, `import hold ${id}`).id);
  }

  limit(id: string): string {
    return this.#derive(this.#rules.owner, `import limit ${id}`).id;
  }

  order({ line, value }: MovementLine): Movement {
    const { importId, owner, createdAt } = this.#rules;
    const { amount, reference = null } = value;
    const metadata = sortMembers(value.metadata ?? {});
    const sides = {
      debitAccountId: this.account(value.debitAccountId),
      creditAccountId: this.account(value.creditAccountId),
    };
    if (value.type === 'hold') {
      // By the clock of the database, which also decides when it expires.
      const seconds = Math.ceil((Date.parse(value.expiresAt) - Date.parse(createdAt)) / 1000);
      const expiresInSeconds = Math.min(EXPIRY_SECONDS_MAX, Math.max(1, seconds));
      const id = this.hold(value.id);
      return {
        kind: 'hold',
        id,
        ...sides,
        amount: amount - value.posted,
        expiresInSeconds,
        reference,
        metadata,
      };
    }
    const ids = value.id ? this.transfer(value.id) : this.#derive(owner, `import line ${importId} ${line}`);
    const effect = value.effectiveAt ? { effectiveAt: value.effectiveAt } : {};
    const content = { ...ids, amount, reference, metadata, ...effect };
    if (!value.reversesId) return { ...content, ...sides };
    return { kind: 'reverse', ...content, transferId: this.transfer(value.reversesId).id, force: false };
  }
}
