import type { ApiCaller } from '../../support/api-caller.ts';
import type { Change } from './changes.ts';

/** What the operations of documents record, each for a kind of its own. */
export function documentChanges(
  atlas: () => ApiCaller,
  accountId: () => string,
): Readonly<Record<string, Change>> {
  const register = (kind: string) =>
    atlas().call('PUT', `/v1/document-kinds/${kind}`, { json: { schema: { type: 'object' } } });
  const put = (kind: string) =>
    atlas().call('PUT', `/v1/accounts/${accountId()}/documents/${kind}`, { json: { content: { a: 1 } } });
  return {
    registerDocumentKind: {
      actions: ['document_kind.created'],
      prepare: async () => () => register('registered'),
    },
    putDocument: {
      actions: ['document.created'],
      async prepare() {
        await register('stored');
        return () => put('stored');
      },
    },
    deleteDocument: {
      actions: ['document.deleted'],
      async prepare() {
        await register('deleted');
        await put('deleted');
        return () => atlas().call('DELETE', `/v1/accounts/${accountId()}/documents/deleted`);
      },
    },
    searchDocuments: {
      actions: [],
      reason: 'It changes nothing.',
      prepare: async () => () => atlas().call('POST', '/v1/documents/search', { json: { kind: 'none' } }),
    },
  };
}
