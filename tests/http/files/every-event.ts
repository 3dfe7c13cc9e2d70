import { expect } from 'bun:test';
import type { TestApp } from '../../support/test-app.ts';

/** Triggers every type of event of files. */
export async function triggerEveryEvent(atlas: TestApp): Promise<void> {
  const stored = await atlas.call('POST', `/v1/files?name=${encodeURIComponent('naïve 😀.txt')}`, {
    body: 'some text',
    headers: { 'Content-Type': 'text/plain' },
  });
  expect(stored.status).toBe(201);
  const { id } = (await stored.json()) as { id: string };
  expect((await atlas.call('DELETE', `/v1/files/${id}`)).status).toBe(204);
}
