import { importText } from '../../support/import-steps.ts';
import type { TestApp } from '../../support/test-app.ts';

/** Triggers every type of event of imports. */
export async function triggerEveryEvent(atlas: TestApp): Promise<void> {
  await importText(atlas, '{"type":"end","lines":0}', { dryRun: true });
}
