import { afterAll, expect, test } from 'bun:test';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { POSTGRES_BIN } from '../../../infra/native-postgres.ts';
import { openPostgres, type Sql } from '../../../src/adapters/postgres/postgres.ts';
import { availableEngines, freshDatabase } from '../../support/database.ts';
import { filesOf } from '../../support/source-tree.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';

const pools: Sql[] = [];
afterAll(async () => {
  const [atlas, test] = pools;
  await test?.end();
  await atlas?.unsafe('DROP DATABASE IF EXISTS atlas_test');
  await atlas?.end();
});

const open = (url: string) => {
  const sql = openPostgres({ url, connectionsMax: 1, timeoutSeconds: 10 });
  pools.push(sql);
  return sql;
};

test.if(availableEngines().includes('native'))(
  'the init scripts of a new PostgreSQL install the extensions, in the test database too',
  async () => {
    const url = await freshDatabase('native');
    // Like the entry point of the image: psql, one file after the other, stopping at the first error.
    for (const file of filesOf('sql/init/*.sql').sort())
      execFileSync(join(POSTGRES_BIN, 'psql'), ['-v', 'ON_ERROR_STOP=1', '-d', url, '-f', file], {
        stdio: 'pipe',
      });
    for (const name of [new URL(url).pathname, '/atlas_test']) {
      const sql = open(Object.assign(new URL(url), { pathname: name }).href);
      const rows = await sql`SELECT extname FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY extname`;
      expect(rows.map(({ extname }) => extname)).toEqual(['btree_gin', 'pg_trgm', 'uuid-ossp']);
    }
  },
  START_TIMEOUT_MS,
);
