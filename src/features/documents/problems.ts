import type { ProblemKinds } from '../../http/problem-kind.ts';

/** Problems of documents and their kinds. */
export const documentProblems = {
  document_kind_not_found: {
    status: 404,
    title: 'Document kind not found',
    cause: 'Your organization has registered no kind of documents with this name, or no such version of it.',
    remedy: 'GET /v1/document-kinds lists the kinds. Register one with PUT /v1/document-kinds/{kind}.',
  },
  document_not_found: {
    status: 404,
    title: 'Document not found',
    cause: 'The account has no document of this kind, or no such version of it, or it was deleted.',
    remedy:
      'GET /v1/accounts/{id}/documents lists the documents. The versions of a deleted one stay readable: GET /v1/accounts/{id}/documents/{kind}/versions.',
  },
  schema_invalid: {
    status: 422,
    title: 'Schema not usable',
    cause: 'The schema is not a JSON Schema (2020-12), or uses what Atlas does not support.',
    remedy: 'Fix what `errors` points to. docs/api/documents.md says what schemas may use.',
    errors: [
      {
        pointer: '/schema/properties/born/format',
        detail: 'must be one of date, date-time, email, uri, uuid',
      },
    ],
  },
  document_invalid: {
    status: 422,
    title: 'Document does not match its schema',
    cause: 'The content does not match the newest schema of its kind.',
    remedy: 'Nothing was stored. Fix what `errors` points to; it has at most 20 entries.',
    errors: [{ pointer: '/content/country', detail: 'must be one of "DE", "FR"' }],
  },
  document_too_complex: {
    status: 422,
    title: 'Document too complex to validate',
    cause: 'Validating the content with the schema of its kind takes more than 100000 steps.',
    remedy:
      'Nothing was stored. Send a smaller document, or simplify the schema: fewer nested allOf and anyOf, and simpler patterns for long texts.',
  },
  document_too_large: {
    status: 422,
    title: 'Document or schema too large',
    cause:
      'The content or schema has more than 65536 bytes as compact JSON in UTF-8, or the content more than 1000 values: members and items, at any depth.',
    remedy:
      'Nothing was stored. Store scans and long lists as files, and their IDs in the document, or divide it into documents of several kinds.',
  },
  too_many_document_kinds: {
    status: 422,
    title: 'Too many document kinds',
    cause: 'Your organization has reached the limit of 100 kinds of documents.',
    remedy: 'Change the schema of a kind that you have: PUT /v1/document-kinds/{kind}.',
  },
  too_many_documents: {
    status: 422,
    title: 'Too many documents',
    cause: 'The account has reached the limit of 20 documents, deleted ones included.',
    remedy: 'Store more in one document, or use a kind that the account already has.',
  },
  too_many_document_versions: {
    status: 422,
    title: 'Too many versions',
    cause: 'The document has reached the limit of 1000 versions, or the kind that of 100.',
    remedy: 'Use another kind. The document can still be read and deleted.',
  },
  document_storage_full: {
    status: 422,
    title: 'Document storage full',
    cause:
      'The documents and schemas of your organization, with their history, have reached the limit of this Atlas.',
    remedy:
      'Ask the operator of this Atlas to raise DOCUMENTS_MAX_BYTES. Documents can still be read and deleted.',
  },
} as const satisfies ProblemKinds;

declare module '../../errors.ts' {
  interface ErrorCodes extends Record<keyof typeof documentProblems, true> {}
}
