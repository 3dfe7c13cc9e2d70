import { freePort } from '../../../infra/free-port.ts';
import { type ApiCaller, requestOf } from '../../support/api-caller.ts';
import { startTestPostgres, type TestPostgres } from '../../support/postgres.ts';
import { until } from '../../support/until.ts';
import { type AtlasProcess, isAlive, makeFolder, removeFolder, startAtlas } from '../atlas-process.ts';

const PAUSE_MS = 2500;
const WORKERS = '2';

/** Killed in turn with SIGKILL. */
export const VICTIMS = ['a worker', 'PostgreSQL', 'the supervisor with its workers'] as const;
export type Victim = (typeof VICTIMS)[number];

/** Atlas with two workers on a PostgreSQL of its own, whose parts can be killed while it is used. */
export interface Sabotaged extends ApiCaller {
  readonly url: string;
  readonly databaseUrl: string;
  readonly kills: ReadonlyMap<Victim, number>;
  /** Kills one part after the other until it is told to stop; each is back before the next is killed. */
  sabotage(): { stop(): Promise<void> };
  end(): Promise<void>;
}

export async function startSabotaged(): Promise<Sabotaged> {
  const folder = await makeFolder();
  const postgres: TestPostgres = await startTestPostgres();
  const port = String(await freePort());
  const start = () =>
    startAtlas(folder, { DATABASE_URL: postgres.url, API_WORKERS: WORKERS, API_PORT: port });
  let atlas: AtlasProcess = await start();
  const { url, key } = atlas;
  const kills = new Map<Victim, number>(VICTIMS.map((victim) => [victim, 0]));

  const isReady = async () => {
    const response = await fetch(`${url}/health/ready`).catch(() => null);
    await response?.arrayBuffer().catch(() => {});
    return response?.status === 200;
  };
  const kill: Readonly<Record<Victim, () => Promise<void>>> = {
    async 'a worker'() {
      const { slots } = await atlas.status();
      const pids = slots.flatMap(({ worker }) => (worker ? [worker.pid] : []));
      const pid = pids[Math.floor(Math.random() * pids.length)];
      if (pid === undefined || !isAlive(pid)) return;
      process.kill(pid, 'SIGKILL');
    },
    PostgreSQL: () => postgres.restart(),
    async 'the supervisor with its workers'() {
      await atlas.end('SIGKILL');
      atlas = await start();
    },
  };

  return {
    url,
    databaseUrl: postgres.url,
    kills,
    call: (method, path, options = {}) =>
      fetch(`${url}${path}`, requestOf(method, options, { Authorization: `Bearer ${key}` })),
    sabotage() {
      let isStopped = false;
      const work = (async () => {
        for (let turn = 0; !isStopped; turn++) {
          const victim = VICTIMS[turn % VICTIMS.length]!;
          await kill[victim]();
          kills.set(victim, kills.get(victim)! + 1);
          await until(isReady, {
            deadlineMs: 60_000,
            pollMs: 50,
            what: `Atlas is ready after ${victim} was killed`,
          });
          const endMs = performance.now() + PAUSE_MS;
          await until(() => isStopped || performance.now() > endMs);
        }
      })();
      work.catch(() => {});
      return {
        async stop() {
          isStopped = true;
          await work;
        },
      };
    },
    async end() {
      await atlas.end('SIGKILL');
      await postgres.stop();
      await removeFolder(folder);
    },
  };
}
