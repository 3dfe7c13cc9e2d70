import { TREE_ACCOUNTS_MAX, TREE_DEPTH_MAX } from '../account.ts';
import {
  BULK_ACCEPTS_UP_TO,
  type BulkAccount,
  type BulkAccounts,
  type BulkOutcome,
  type BulkSettings,
} from '../bulk-account.ts';
import { type ClaimedImport, type LineCounts, noLines, type RefusedLine } from '../import.ts';
import { type ItemResult, type Movement, REFUSAL_DETAILS, type Refusal, sortMembers } from '../movement.ts';
import type { BulkPosting } from './bulk-posting.ts';
import { ImportedIds, type MovementLine } from './imported-ids.ts';
import type { Line, LineOf } from './lines.ts';
import { type Outcome, type SingleLine, type SingleLineTargets, storeLine } from './single-line.ts';

/** The services that lines are written with. */
export interface LineTargets extends SingleLineTargets {
  readonly accounts: BulkAccounts;
  readonly posting: BulkPosting;
}

/** A valid line with its number. */
export interface ValidLine {
  readonly line: number;
  readonly value: Line;
}

/** Lines of one group that follow each other. `orders`: what those that move money post; null if none can. */
export interface Run {
  readonly lines: readonly ValidLine[];
  readonly orders: readonly Movement[] | null;
}

/** What became of some lines. */
export interface Applied {
  readonly counts: LineCounts;
  readonly refused: readonly RefusedLine[];
}

const BULK_DETAILS: Readonly<Record<Exclude<BulkOutcome, 'posted' | 'exists'>, string>> = {
  account_id_taken: 'This ID is not available: it is taken or reserved.',
  account_not_found: 'Your organization has no such account.',
  parent_not_found: 'Your organization has no such parent account.',
  parent_ledger_differs: 'The parent account is on another ledger.',
  account_cycle: 'The parent account is the account itself or below it.',
  account_tree_too_deep: `Below this parent, the tree would be deeper than ${TREE_DEPTH_MAX} accounts.`,
  account_tree_too_large: `More than ${TREE_ACCOUNTS_MAX} accounts are below the account.`,
  balance_below_limit: 'What is available in the account is less than `balanceMin`, or than 0 without one.',
  balance_above_limit: 'The balance of the account, with what is pending, is more than `balanceMax`.',
  account_not_empty: 'The account has a balance, or something is pending.',
};
/** Writes lines in order. Lines of one type that follow each other are one call. */
export class LineWriter {
  readonly #targets: LineTargets;
  readonly #claim: ClaimedImport;
  readonly #ids: ImportedIds;

  private constructor(targets: LineTargets, claim: ClaimedImport, ids: ImportedIds) {
    this.#targets = targets;
    this.#claim = claim;
    this.#ids = ids;
  }

  static async open(targets: LineTargets, claim: ClaimedImport): Promise<LineWriter> {
    const rules = { importId: claim.id, owner: claim.owner, ids: claim.ids, createdAt: claim.createdAt };
    return new LineWriter(targets, claim, new ImportedIds(await targets.posting.deriver(), rules));
  }

  /** Makes of lines what can be made without the database. */
  prepare(lines: readonly ValidLine[]): Run[] {
    return [...runsOf(lines)].map((run) => {
      if (groupOf(run[0]!.value) !== 'movement') return { lines: run, orders: null };
      const posted = (run as MovementLine[]).filter(({ value }) => !isHistory(value));
      return { lines: run, orders: posted.map((line) => this.#ids.order(line)) };
    });
  }

  /** Safe to repeat with the same lines: each has its effect once. Throws if the fault is not that of a line. */
  async write(runs: readonly Run[]): Promise<Applied> {
    const counts = noLines();
    const refused: RefusedLine[] = [];
    for (const run of runs) {
      const outcomes = await this.#writeRun(run);
      for (const [i, outcome] of outcomes.entries()) {
        if (outcome === 'posted') counts.posted++;
        else if (outcome === 'exists') counts.existed++;
        else if (outcome === 'skipped') counts.skipped++;
        else {
          counts.refused++;
          refused.push({ line: run.lines[i]!.line, member: null, ...outcome });
        }
      }
    }
    return { counts, refused };
  }

  #writeRun({ lines, orders }: Run): Promise<Outcome[]> {
    if (orders !== null) return this.#post(lines as readonly MovementLine[], orders);
    const values = lines.map(({ value }) => value);
    switch (groupOf(values[0]!)) {
      case 'account':
        return this.#open(values as LineOf<'account'>[]);
      case 'accountSettings':
        return this.#set(values as LineOf<'accountSettings'>[]);
      case 'single':
        return this.#storeAll(values as SingleLine[]);
      default:
        return Promise.resolve(values.map(() => 'skipped' as const));
    }
  }

  async #open(lines: readonly LineOf<'account'>[]): Promise<Outcome[]> {
    const accounts = lines.map(
      (line): BulkAccount => ({
        id: this.#ids.account(line.id),
        ledger: line.ledger,
        name: line.name ?? null,
        kind: line.kind ?? null,
        allowNegative: line.allowNegative ?? false,
        metadata: sortMembers(line.metadata ?? {}),
        acceptsFrom: line.acceptsFrom ?? null,
        acceptsUpTo: line.acceptsUpTo ?? BULK_ACCEPTS_UP_TO,
        balanceMin: line.balanceMin ?? null,
        parentId: line.parentId ? this.#ids.account(line.parentId) : null,
      }),
    );
    const { owner, actor } = this.#claim;
    return (await this.#targets.accounts.open(owner, accounts, actor)).map(toOutcome);
  }

  async #set(lines: readonly LineOf<'accountSettings'>[]): Promise<Outcome[]> {
    const settings = lines.map(
      ({ type: _, id, balanceMin = null, balanceMax = null, ...rest }): BulkSettings => ({
        id: this.#ids.account(id),
        balanceMin,
        balanceMax,
        ...rest,
      }),
    );
    const { owner, actor } = this.#claim;
    return (await this.#targets.accounts.set(owner, settings, actor)).map(toOutcome);
  }

  async #post(lines: readonly MovementLine[], orders: readonly Movement[]): Promise<Outcome[]> {
    const { id, owner, sha256 } = this.#claim;
    const from = lines[0]!.line;
    let items: readonly ItemResult[] = [];
    if (orders.length > 0) {
      const result = await this.#targets.posting.post({
        owner,
        key: `import ${id} ${from}`,
        orders,
        content: { importId: id, sha256, from, to: lines.at(-1)!.line },
      });
      if (result.state === 'reused')
        throw new Error(`The key of line ${from} of import ${id} was used before.`);
      ({ items } = result);
    }
    let next = 0;
    return lines.map(({ value }) => {
      if (isHistory(value)) return 'skipped';
      const { outcome } = items[next++]!;
      if (outcome === 'posted' || outcome === 'exists') return outcome;
      return refusal(outcome, REFUSAL_DETAILS[outcome as Refusal]);
    });
  }

  async #storeAll(lines: readonly SingleLine[]): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    for (const line of lines) outcomes.push(await storeLine(line, this.#targets, this.#claim, this.#ids));
    return outcomes;
  }
}

/** A hold that reserves nothing any more. Its transfers are lines of their own. */
function isHistory(value: MovementLine['value']): boolean {
  return value.type === 'hold' && (value.state !== 'pending' || value.posted === value.amount);
}

function toOutcome(outcome: BulkOutcome): Outcome {
  return outcome === 'posted' || outcome === 'exists' ? outcome : refusal(outcome, BULK_DETAILS[outcome]);
}

function refusal(code: string, detail: string): Outcome {
  return { code, detail };
}

function groupOf({ type }: Line) {
  if (type === 'transfer' || type === 'hold') return 'movement';
  if (type === 'document' || type === 'documentKind' || type === 'accountTemplate' || type === 'limit')
    return 'single';
  return type;
}

/**
 * Divides lines into runs of one group. An account starts a new one if its parent is in the run, and so do its settings
 * if they are in it already.
 */
function* runsOf(lines: readonly ValidLine[]): Generator<ValidLine[]> {
  let run: ValidLine[] = [];
  let ids = new Set<string>();
  for (const line of lines) {
    const { value } = line;
    const [first] = run;
    const needsParent = value.type === 'account' && value.parentId != null && ids.has(value.parentId);
    const isSetAgain = value.type === 'accountSettings' && ids.has(value.id);
    if (first !== undefined && (needsParent || isSetAgain || groupOf(first.value) !== groupOf(value))) {
      yield run;
      run = [];
      ids = new Set();
    }
    if (value.type === 'account' || value.type === 'accountSettings') ids.add(value.id);
    run.push(line);
  }
  if (run.length > 0) yield run;
}
