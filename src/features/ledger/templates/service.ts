import { AtlasError } from '../../../errors.ts';
import type { Expected } from '../../../http/etag.ts';
import type { Actor } from '../../../utils/actor.ts';
import { pointerStep } from '../../../utils/json-pointer.ts';
import { Turns } from '../../../utils/turns.ts';
import type { Done, Idempotency, Tx } from '../../idempotency.ts';
import {
  type AccountTemplate,
  type Chart,
  faultsOf,
  filled,
  type NewTemplate,
  type Values,
} from '../account-template.ts';
import type { AccountService } from '../accounts/service.ts';
import type { TemplateRepository } from './repository.ts';

const ERRORS_MAX = 20;

/** What a chart is opened with. */
export interface NewChart {
  readonly template: string;
  readonly values: Values;
  /** The account that becomes the parent of its roots. */
  readonly parentId: string | null;
}

/** Operations on templates of accounts of one owner. All throw `AtlasError`. */
export interface TemplateService {
  /** Saves a template. If it is the same already, nothing is written. */
  save(
    owner: string,
    template: NewTemplate,
    expected: Expected | undefined,
    actor: Actor,
    signal?: AbortSignal,
  ): Promise<{ template: AccountTemplate; isNew: boolean }>;
  find(owner: string, name: string, signal?: AbortSignal): Promise<AccountTemplate>;
  list: TemplateRepository['list'];
  remove(owner: string, name: string, expected: Expected, actor: Actor, signal?: AbortSignal): Promise<void>;
  /** Opens all accounts of a template, or none. */
  open(
    owner: string,
    chart: NewChart,
    actor: Actor,
    signal?: AbortSignal,
    idempotencyKey?: string,
  ): Promise<Done<Chart>>;
}

export function createTemplateService(
  repository: TemplateRepository,
  accountService: Pick<AccountService, 'openAll'>,
  idempotency: Idempotency,
): TemplateService {
  // Charts with a parent lock the trees of their owner.
  const turns = new Turns();

  async function openChart(
    owner: string,
    asked: NewChart,
    actor: Actor,
    tx: Tx | undefined,
    signal?: AbortSignal,
  ) {
    const { template: name, values, parentId } = asked;
    const template = await repository.find(owner, name, { tx, signal });
    if (template === null) throw notFound(name);
    requireFitting(template, values);
    const idOf = new Map(template.accounts.map(({ ref }) => [ref, Bun.randomUUIDv7()] as const));
    const accounts = template.accounts.map((account) => {
      const { ref, parent, ...content } = filled(account, values);
      return { ...content, id: idOf.get(ref)!, parentId: parent === null ? parentId : idOf.get(parent)! };
    });
    await accountService.openAll(owner, accounts, parentId, actor, { tx, signal });
    const opened = accounts.map(({ id, name: of, ledger, parentId: above }, i) => {
      return { ref: template.accounts[i]!.ref, id, name: of, ledger, parentId: above };
    });
    return { template: name, templateVersion: template.version, accounts: opened };
  }

  return {
    async save(owner, template, expected, actor, signal) {
      const saved = await repository.save(owner, template, expected, actor, signal);
      if ('refusal' in saved) throw new AtlasError(saved.refusal, REFUSALS[saved.refusal]);
      return saved;
    },
    async find(owner, name, signal) {
      const found = await repository.find(owner, name, { signal });
      if (found === null) throw notFound(name);
      return found;
    },
    list: repository.list,
    async remove(owner, name, expected, actor, signal) {
      const outcome = await repository.remove(owner, name, expected, actor, signal);
      if (outcome === 'account_template_not_found') throw notFound(name);
      if (outcome === 'precondition_failed') throw new AtlasError(outcome, REFUSALS[outcome]);
    },
    open(owner, chart, actor, signal, key) {
      const content = ['openChart', chart.template, chart.values, chart.parentId] as const;
      const run = () =>
        idempotency.run<Chart>(
          { owner, key, content },
          (tx) => openChart(owner, chart, actor, tx, signal),
          signal,
        );
      return turns.run(owner, run, signal);
    },
  };
}

const REFUSALS = {
  precondition_required: 'The template exists with other content. Send its ETag in If-Match to change it.',
  precondition_failed: 'The template has changed since you read it, or does not exist.',
  too_many_account_templates: 'Your organization has as many templates as it may have.',
} as const;

function requireFitting({ accounts }: AccountTemplate, values: Values): void {
  const errors = faultsOf(accounts, values)
    .slice(0, ERRORS_MAX)
    .map(({ at, detail }) => ({ pointer: at === null ? '/values' : `/values/${pointerStep(at)}`, detail }));
  if (errors.length > 0)
    throw new AtlasError('template_values_invalid', 'The values do not fit the template; see `errors`.', {
      errors,
    });
}

function notFound(name: string): AtlasError {
  return new AtlasError('account_template_not_found', `The template ${name} does not exist.`);
}
