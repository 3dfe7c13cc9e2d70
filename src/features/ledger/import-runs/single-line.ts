import { AtlasError, type ErrorCode } from '../../../errors.ts';
import type { KindService } from '../../documents/kinds/service.ts';
import type { DocumentService } from '../../documents/records/service.ts';
import { toNewTemplate } from '../account-template.ts';
import type { ClaimedImport } from '../import.ts';
import { toNewLimit } from '../limit-resource.ts';
import type { LimitService } from '../limits/service.ts';
import type { TemplateService } from '../templates/service.ts';
import type { ImportedIds } from './imported-ids.ts';
import type { LineOf } from './lines.ts';

/** The services that lines are written with one by one. */
export interface SingleLineTargets {
  readonly kinds: Pick<KindService, 'register'>;
  readonly documents: Pick<DocumentService, 'put'>;
  readonly templates: Pick<TemplateService, 'save'>;
  readonly limits: Pick<LimitService, 'createOnce'>;
}

/** A line of which an organization has few. */
export type SingleLine =
  | LineOf<'document'>
  | LineOf<'documentKind'>
  | LineOf<'accountTemplate'>
  | LineOf<'limit'>;

/** What became of a line. */
export type Outcome = 'posted' | 'exists' | 'skipped' | { readonly code: string; readonly detail: string };

/** Why a line is refused. Any other error is not the fault of the line. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set([
  'account_not_found',
  'document_kind_not_found',
  'schema_invalid',
  'document_invalid',
  'document_too_complex',
  'document_too_large',
  'too_many_document_kinds',
  'too_many_documents',
  'too_many_document_versions',
  'document_storage_full',
  'precondition_required',
  'precondition_failed',
  'too_many_account_templates',
  'unknown_account',
  'different_ledgers',
  'too_many_limits',
]);

/** Writes a line. Safe to repeat. Throws if the fault is not that of the line. */
export async function storeLine(
  line: SingleLine,
  targets: SingleLineTargets,
  claim: ClaimedImport,
  ids: ImportedIds,
): Promise<Outcome> {
  try {
    switch (line.type) {
      case 'documentKind':
        return await registerKind(line, targets, claim);
      case 'document': {
        const path = { owner: claim.owner, accountId: ids.account(line.accountId), kind: line.kind };
        return outcomeOf(await targets.documents.put(path, line.content, 'none', claim.actor));
      }
      case 'accountTemplate': {
        const template = toNewTemplate(line.name, line);
        // One that is there already counts, whatever has made it; one with other content is not replaced.
        return outcomeOf(await targets.templates.save(claim.owner, template, undefined, claim.actor));
      }
      default:
        return await createLimit(line, targets, claim, ids);
    }
  } catch (error) {
    if (!(error instanceof AtlasError) || !REFUSALS.has(error.code)) throw error;
    return { code: error.code, detail: error.message };
  }
}

async function registerKind(
  { kind, title = null, schema }: LineOf<'documentKind'>,
  { kinds }: SingleLineTargets,
  { owner, actor }: ClaimedImport,
): Promise<Outcome> {
  const content = { kind, title, schema };
  // A version that follows another one replaces it.
  const registered = await kinds.register(owner, content, 'any', actor).catch((error) => {
    if (!(error instanceof AtlasError) || error.code !== 'precondition_failed') throw error;
    return kinds.register(owner, content, 'none', actor);
  });
  return outcomeOf(registered);
}

/** Operators set their own limits, in each database. */
async function createLimit(
  { id, setBy, accountIds = null, ...line }: LineOf<'limit'>,
  { limits }: SingleLineTargets,
  { owner, actor }: ClaimedImport,
  ids: ImportedIds,
): Promise<Outcome> {
  if (setBy === 'operator') return 'skipped';
  const content = toNewLimit({
    ...line,
    accountIds: accountIds?.map((one) => ids.account(one)),
  });
  return outcomeOf({ isNew: await limits.createOnce(owner, ids.limit(id), content, actor) });
}

function outcomeOf({ isNew }: { readonly isNew: boolean }): Outcome {
  return isNew ? 'posted' : 'exists';
}
