import { untilStopped } from './stopped-process.ts';
import { until } from './until.ts';

/** A server that one test owns, and may kill. */
export interface TestService {
  /** Of the current process. Changes with {@link TestService.restart}. */
  readonly pid: number;
  /** Shuts it down, waits for its exit and deletes its data. */
  stop(): Promise<void>;
  /** Crashes it (SIGKILL) and waits for its exit. Its data stays for {@link TestService.restart}. */
  kill(): Promise<void>;
  /** Freezes it (SIGSTOP): once this resolves, connections stay open and nothing responds. */
  pause(): Promise<void>;
  /** Continues it (SIGCONT). */
  resume(): void;
  /** Starts it again with its data on its port. Kills it first if it is running. */
  restart(): Promise<void>;
}

/** What the starts of all test services accept. */
export interface StartOptions {
  /** A free port by default. Give the port of another service to take its place. */
  readonly port?: number;
}

/** A server process as the starters in `infra` return it. */
interface ServerProcess {
  readonly pid: number;
  readonly port: number;
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

interface Endable {
  kill(): Promise<void>;
  stop(): Promise<void>;
}

const running = new Set<Endable>();

/**
 * Starts a server and gives a test control over it. Ends with the tests even if a test forgets it.
 *
 * @param start Starts the server on a port: at first on that of the options, later on the one it had.
 * @param deleteData Called after {@link TestService.stop}, and if the first start fails.
 */
export async function startService<S extends ServerProcess>({
  start,
  deleteData,
  port,
  stopSignal = 'SIGTERM',
}: StartOptions & {
  readonly start: (port: number | undefined) => Promise<S>;
  readonly deleteData: () => Promise<void>;
  readonly stopSignal?: 'SIGTERM' | 'SIGKILL';
}): Promise<{ readonly service: TestService; readonly first: S }> {
  let server: S;
  try {
    server = await start(port);
  } catch (error) {
    await deleteData();
    throw error;
  }
  const first = server;
  const service: TestService = register({
    get pid() {
      return server.pid;
    },
    async stop() {
      // A paused process does not receive its SIGTERM. One that was killed has no process.
      signalIfRunning(server.pid, 'SIGCONT');
      await server.end(stopSignal);
      await deleteData();
      forget(service);
    },
    kill: () => server.end('SIGKILL'),
    async pause() {
      process.kill(server.pid, 'SIGSTOP');
      await untilStopped(server.pid);
    },
    resume: () => void process.kill(server.pid, 'SIGCONT'),
    async restart() {
      await server.end('SIGKILL');
      server = await start(first.port);
    },
  });
  return { service, first };
}

/** Registers a service, so that {@link stopTestServices} ends it unless {@link forget} was called. */
export function register<T extends Endable>(service: T): T {
  running.add(service);
  return service;
}

export function forget(service: Endable): void {
  running.delete(service);
}

/** Sends a signal to a process unless it has just exited. */
export function signalIfRunning(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Ends every service that no test has stopped. A kill is faster than a shutdown, and nobody needs the data. */
export async function stopTestServices(): Promise<void> {
  const stop = async (service: Endable) => {
    await service.kill();
    await service.stop();
    return true;
  };
  // One that does not end is printed before the hook runs out of time.
  const untilGone = (service: Endable) =>
    until(() => stop(service), { what: 'a test service ends', details: () => Bun.inspect(service) });
  await Promise.all([...running].map(untilGone));
}
