import { createHash } from 'node:crypto';
import { AtlasError } from '../../../errors.ts';
import type { Actor } from '../../../utils/actor.ts';
import { canonicalJson, digitsOfExponents } from '../../../utils/canonical-json.ts';
import type { CompiledSchema } from '../../../utils/json-schema/compiled-schema.ts';
import type { ValueFault } from '../../../utils/json-schema/evaluation.ts';
import { BudgetSpent } from '../../../utils/json-schema/step-budget.ts';
import { createReservedId } from '../../../utils/reserved-id.ts';
import type { Searches } from '../../searches.ts';
import {
  DOCUMENT_BYTES_MAX,
  DOCUMENT_VALUES_MAX,
  type Document,
  type DocumentStats,
  type DocumentSummary,
  type DocumentVersion,
  hasTooManyValues,
  type Replaces,
} from '../domain.ts';
import type { KindService } from '../kinds/service.ts';
import type { DocumentOutcome, DocumentPath, DocumentRepository } from './repository.ts';

/** Operations on documents. All are limited to the accounts of one owner, and throw `AtlasError`. */
export interface DocumentService {
  /** Validates and stores a version. If the newest one is the same, nothing is written. */
  put(
    path: DocumentPath,
    content: Readonly<Record<string, unknown>>,
    replaces: Replaces,
    actor: Actor,
    signal?: AbortSignal,
  ): Promise<{ document: Document; isNew: boolean }>;
  find(path: DocumentPath, version: number | null, signal?: AbortSignal): Promise<Document>;
  ofAccount(owner: string, accountId: string, signal?: AbortSignal): Promise<DocumentSummary[]>;
  versions(
    path: DocumentPath,
    before: number | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<DocumentVersion[]>;
  search: DocumentRepository['search'];
  /** Deletes the document; its history stays. `none` deletes whichever version there is. */
  remove(path: DocumentPath, replaces: Replaces, actor: Actor, signal?: AbortSignal): Promise<void>;
}

const SEARCHES_MAX = 2;
/** Steps that a validation may take: about 10 ms. */
export const STEPS_MAX = 100_000;
// The schema may be changed while a document is validated with it.
const ATTEMPTS_MAX = 3;

export function createDocumentService(
  repository: DocumentRepository,
  kinds: Pick<KindService, 'newest'>,
  stats: DocumentStats,
  searches: Searches,
): DocumentService {
  const inTurn = searches.inTurn(SEARCHES_MAX, 'Look for fewer values.');
  return {
    async put(path, content, replaces, actor, signal) {
      const { accountId, kind } = path;
      if (hasTooManyValues(content))
        throw new AtlasError(
          'document_too_large',
          `The content has more than ${DOCUMENT_VALUES_MAX} values: members and items, at any depth.`,
        );
      const text = canonicalJson(content);
      const sizeBytes = Buffer.byteLength(text);
      // PostgreSQL writes them out whenever a document is read, or a page measured.
      const writtenBytes = sizeBytes + digitsOfExponents(content);
      if (writtenBytes > DOCUMENT_BYTES_MAX)
        throw new AtlasError('document_too_large', `The content has ${writtenBytes} bytes.`);
      const digest = createHash('sha256').update(text).digest();
      for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
        const { version: kindVersion, schema } = await kinds.newest(path.owner, kind, signal);
        requireValid(schema, content, stats);
        const created = { content, sha256: digest, sizeBytes, kindVersion };
        const id = createReservedId('document');
        const written = await repository.write(path, id, created, replaces, actor, signal);
        const { outcome, version, createdAt } = written;
        if (outcome === 'kind_changed') continue;
        requireWritten(outcome, path);
        const sha256 = digest.toString('hex');
        const document = { accountId, kind, version, kindVersion, content, sha256, sizeBytes, createdAt };
        return { document, isNew: outcome === 'created' };
      }
      throw new AtlasError('precondition_failed', `The schema of the kind ${kind} has changed. Retry.`);
    },
    async find(path, version, signal) {
      const found = await repository.find(path, version, signal);
      if (typeof found === 'string') throw refusal(found, path);
      return found;
    },
    async ofAccount(owner, accountId, signal) {
      const found = await repository.ofAccount(owner, accountId, signal);
      if (found === null) throw accountNotFound(accountId);
      return found;
    },
    async versions(path, before, limit, signal) {
      const found = await repository.versions(path, before, limit, signal);
      if (found === null) throw accountNotFound(path.accountId);
      if (found.length === 0 && before === null) throw refusal('document_not_found', path);
      return found;
    },
    search: (search, after, limit, signal) =>
      inTurn(search.owner, signal, () => repository.search(search, after, limit, signal)),
    async remove(path, replaces, actor, signal) {
      const { outcome } = await repository.write(
        path,
        createReservedId('document'),
        null,
        replaces,
        actor,
        signal,
      );
      requireWritten(outcome, path);
    },
  };
}

/** Throws `document_invalid` or `document_too_complex`. */
function requireValid(schema: CompiledSchema, content: object, stats: DocumentStats): void {
  const startMs = performance.now();
  let faults: readonly ValueFault[];
  try {
    faults = schema.validate(content, STEPS_MAX);
  } catch (error) {
    if (!(error instanceof BudgetSpent)) throw error;
    stats.validations.too_complex++;
    throw new AtlasError('document_too_complex', `The validation takes more than ${STEPS_MAX} steps.`);
  } finally {
    stats.validationMs += performance.now() - startMs;
  }
  stats.validations[faults.length === 0 ? 'valid' : 'invalid']++;
  if (faults.length === 0) return;
  const errors = faults.map(({ pointer, detail }) => ({ pointer: `/content${pointer}`, detail }));
  throw new AtlasError('document_invalid', 'The content does not match the schema; see `errors`.', {
    errors,
  });
}

type Refused = Exclude<DocumentOutcome, 'created' | 'changed' | 'deleted' | 'unchanged' | 'kind_changed'>;

function requireWritten(outcome: DocumentOutcome, path: DocumentPath): void {
  if (!['created', 'changed', 'deleted', 'unchanged'].includes(outcome))
    throw refusal(outcome as Refused, path);
}

const REFUSALS: Readonly<Record<Exclude<Refused, 'account_not_found'>, string>> = {
  document_not_found: 'The account has no such document.',
  precondition_required: 'The document exists with other content. Send its ETag in If-Match to change it.',
  precondition_failed: 'The document has changed since you read it, or does not exist.',
  too_many_documents: 'The account has as many documents as it may have.',
  too_many_document_versions: 'The document has as many versions as it may have.',
  document_storage_full: 'The documents and schemas of your organization have reached DOCUMENTS_MAX_BYTES.',
};

function refusal(code: Refused, { accountId }: DocumentPath): AtlasError {
  return code === 'account_not_found' ? accountNotFound(accountId) : new AtlasError(code, REFUSALS[code]);
}

function accountNotFound(id: string): AtlasError {
  return new AtlasError('account_not_found', `Account ${id} does not exist.`);
}
