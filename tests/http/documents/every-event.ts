import { expect } from 'bun:test';
import { createDocument, registerKind } from '../../support/document-steps.ts';
import type { TestApp } from '../../support/test-app.ts';

/** Triggers every type of event of documents. */
export async function triggerEveryEvent(atlas: TestApp): Promise<void> {
  const { accountId, kind } = await createDocument(atlas, await registerKind(atlas));
  const path = `/v1/accounts/${accountId}/documents/${kind}`;
  expect((await atlas.call('DELETE', path)).status).toBe(204);
}
