import { beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { openPostgres } from '../../../../src/adapters/postgres/postgres.ts';
import { availableEngines, freshDatabase } from '../../../support/database.ts';
import { START_TIMEOUT_MS } from '../../../support/test-app.ts';
import { ANOMALIES, createRows } from './anomalies.ts';
import { endingOf, LEVELS } from './sessions.ts';

const PAGE = readFileSync(new URL('../../../../docs/architecture/transactions.md', import.meta.url), 'utf8');
/** The rows of the table whose columns are the four levels. */
const ROWS = PAGE.split(`| anomaly | ${LEVELS.join(' | ')} |\n`)[1]!
  .split('\n\n')[0]!
  .split('\n')
  .slice(1)
  .map((line) => line.slice(2, -2).split(' | '));

test('the page lists exactly the anomalies that are tested', () => {
  expect(ROWS.map(([name]) => name!).sort()).toEqual(Object.keys(ANOMALIES).sort());
});

describe.each(availableEngines())('on the %s PostgreSQL', (engine) => {
  let url: string;
  beforeAll(async () => {
    url = await freshDatabase(engine);
  }, START_TIMEOUT_MS);

  describe.each(ROWS)('%s', (name, ...documented) => {
    test.each(LEVELS.map((level, i) => [level, documented[i]!] as const))(
      'at %s: %s',
      async (level, ending) => {
        const sql = openPostgres({ url, connectionsMax: 1, timeoutSeconds: 20 });
        await createRows(sql);
        await sql.end({ timeout: 5 });
        expect<string>(await endingOf(url, level, ANOMALIES[name!]!)).toBe(ending);
      },
    );
  });

  test('a transaction can ask for READ UNCOMMITTED, and PostgreSQL reports that it has it', async () => {
    await endingOf(url, 'READ UNCOMMITTED', async ({ a }) => {
      const [row] = await a.sql`SHOW transaction_isolation`;
      expect(row).toEqual({ transactionIsolation: 'read uncommitted' });
      return true;
    });
  });
});
