import { type ClusterLock, type Holder, isElsewhere, openClusterLock } from './cluster-lock.ts';
import { isResponsive } from './is-responsive.ts';
import { findRunning, type RunningServer } from './pid-file.ts';

/** A server to join, or with `running` null the right to start one, which ends when the lock is closed. */
export interface Claim {
  readonly lock: ClusterLock;
  readonly running: RunningServer | null;
}

// How long a server may need to recover, or another process to create the cluster and start one.
const STARTING_MS_MAX = 60_000;
// A server that was just killed is still listed for a moment.
const DYING_MS_MAX = 10_000;
// A container that is being stopped may still shut its server down.
const ELSEWHERE_MS_MAX = 5_000;
const WAIT_MS = 20;

/**
 * Finds the server that runs on the cluster, or takes the lock to start one. While another process holds the lock and
 * its server cannot be seen, this waits; it changes nothing. Throws an Error with a remedy if that lasts too long.
 */
export async function claimCluster(
  folder: string,
  cluster: string,
  onProgress: (text: string) => void = () => {},
): Promise<Claim> {
  const lock = openClusterLock(folder);
  try {
    const startMs = performance.now();
    for (;;) {
      const running = await findRunning(cluster);
      if (running !== null && (await isResponsive(running.port))) {
        // A server of an older release has no lock. It gets that of this process, as long as this process uses it.
        lock.take();
        return { lock, running };
      }
      const taken = running === null ? lock.take() : 'held';
      if (taken === 'unsupported')
        onProgress(`${folder} cannot be locked; make sure that nothing in another container uses it`);
      if (taken !== 'held') return { lock, running: null };
      const waitedMs = performance.now() - startMs;
      if (running !== null && waitedMs > DYING_MS_MAX) throw unresponsive(running);
      refuseInUse(folder, lock.holder(), waitedMs);
      await Bun.sleep(WAIT_MS);
    }
  } catch (error) {
    lock.close();
    throw error;
  }
}

function refuseInUse(folder: string, holder: Holder | null, waitedMs: number): void {
  const from = holder === null ? 'an unknown process' : `process ${holder.pid} on host ${holder.host}`;
  if (holder !== null && isElsewhere(holder)) {
    if (waitedMs <= ELSEWHERE_MS_MAX) return;
    throw new Error(
      `Another Atlas uses the data folder ${folder}.\n  why:  ${from}, in another container or process namespace, has started a PostgreSQL on it, and two servers on one folder lose data\n  do:   stop that Atlas, or give this one its own folder with ATLAS_DATA_DIR, or give both one server with DATABASE_URL`,
    );
  }
  if (waitedMs <= STARTING_MS_MAX) return;
  throw new Error(
    `The embedded PostgreSQL did not become ready.\n  why:  ${from} has locked ${folder}, and no server on it has become ready within ${STARTING_MS_MAX / 1000} s\n  do:   read ${folder}/server.log, wait if it recovers, or stop that process`,
  );
}

function unresponsive({ pid, port }: RunningServer): Error {
  return new Error(
    `The embedded PostgreSQL does not respond.\n  why:  process ${pid} runs on the folder, and nothing responds on 127.0.0.1:${port} from here\n  do:   run this command where Atlas runs (the same container or network namespace), or kill that process and start Atlas again`,
  );
}
