import type postgres from 'postgres';
import type { Actor } from '../../utils/actor.ts';
import { auditFragment } from './audit.ts';
import type { Database } from './database.ts';
import { readIsolation } from './isolation.ts';

const INDEX = 'accounts_by_owner';
const LOCK = 5703951129318916n;
const RETRY_MS = 500;
// Longer than an incarnation is alive that is no longer renewed.
const FORMER_HOSTS_MS = 6000;

/**
 * Turns isolation on or off for all hosts, and returns whether that changed something. It is in the audit log of
 * `auditedAs`. `onProgress` is called before a step that takes long. Throws an Error with a remedy if a host runs that
 * would not isolate, and otherwise like `Database.query`.
 */
export async function switchIsolation(
  db: Database,
  isOn: boolean,
  actor: Actor,
  auditedAs: string,
  onProgress: (text: string) => void = () => {},
): Promise<boolean> {
  const state = await readIsolation(db);
  if (state.isOn === isOn) return false;
  if (isOn) {
    if (state.hasFormerHosts) await untilFormerHostsAreGone(db, onProgress);
    await buildIndex(db, onProgress);
  }
  const switched = await db.query(
    (sql) => sql`
      WITH switched AS (
        UPDATE transfer_id_secret SET isolates_owners = ${isOn}, isolation_epoch = isolation_epoch + 1
        WHERE isolates_owners <> ${isOn} RETURNING isolates_owners AS is_on
      ), audited AS (${auditFragment(
        db.fragment,
        actor,
        ['isolation', isOn ? 'turned_on' : 'turned_off'],
        db.fragment`SELECT ${auditedAs}::text, 'isolation', jsonb_build_object('isOn', NOT is_on),
          jsonb_build_object('isOn', is_on) FROM switched`,
      )})
      SELECT is_on FROM switched`,
  );
  return switched.length > 0;
}

/** A host that was just replaced counts as running for some seconds. */
async function untilFormerHostsAreGone(
  db: Pick<Database, 'query'>,
  onProgress: (text: string) => void,
): Promise<void> {
  onProgress('waiting for hosts of the release before to end');
  const untilMs = performance.now() + FORMER_HOSTS_MS;
  while ((await readIsolation(db)).hasFormerHosts) {
    if (performance.now() > untilMs)
      throw new Error(
        'Isolation was not turned on.\n  why:  a host of a release before isolation is running on this database, and would show everything to everybody\n  do:   replace it with this release first, or start with ISOLATION=off until then',
      );
    await Bun.sleep(RETRY_MS);
  }
}

/**
 * Builds the index that lists of an isolated owner need, unless it exists. Payments go on meanwhile. What a killed
 * process has left behind is built again.
 */
async function buildIndex(db: Pick<Database, 'reserve'>, onProgress: (text: string) => void): Promise<void> {
  const connection = await db.reserve();
  try {
    await connection`SELECT set_config('statement_timeout', '0', false)`;
    // Waiting inside of a statement would hold a snapshot, for which the builder would wait in turn.
    while (!(await isLocked(connection))) await Bun.sleep(RETRY_MS);
    const [found] = await connection`
      SELECT indisvalid AS is_valid FROM pg_index WHERE indexrelid = to_regclass(${INDEX})`;
    if (found?.isValid) return;
    onProgress('building the index of accounts by organization');
    await connection.unsafe(`DROP INDEX CONCURRENTLY IF EXISTS ${INDEX}`);
    await connection.unsafe(`CREATE INDEX CONCURRENTLY ${INDEX} ON accounts (owner, created_at, id)`);
  } finally {
    await connection`SELECT pg_advisory_unlock_all()`.catch(() => {});
    await connection`RESET statement_timeout`.catch(() => {});
    connection.release();
  }
}

async function isLocked(connection: postgres.ReservedSql): Promise<boolean> {
  const [row] = await connection`SELECT pg_try_advisory_lock(${String(LOCK)}::bigint) AS is_locked`;
  return row!.isLocked as boolean;
}
