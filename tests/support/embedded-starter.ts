import { join } from 'node:path';
import { isAvailable } from './is-available.ts';

const MODULE = join(import.meta.dir, '../../src/adapters/postgres/embedded/postgres-server.ts');
export const EMBEDDED_OPTIONS = { connectionsMax: 10, preferredPort: 0, create: true } as const;

/** A process that starts or joins the embedded server on a folder. */
export interface EmbeddedStarter {
  readonly pid: number;
  /** Returns the URL of the server. Throws the error of the start. */
  url(): Promise<string>;
  /** Lets it stop using the server, and returns its exit code. */
  stop(): Promise<number>;
  kill(): Promise<void>;
}

/** Spawns such a process, behind the words of `through`, such as those of `unshare`. */
export function spawnStarter(folder: string, through: readonly string[] = []): EmbeddedStarter {
  const script = `const { startEmbeddedPostgres } = await import(${JSON.stringify(MODULE)});
    const start = startEmbeddedPostgres(${JSON.stringify(folder)}, ${JSON.stringify(EMBEDDED_OPTIONS)});
    const server = await start.catch((error) => { console.log('failed: ' + error.message); process.exit(1); });
    console.log(server.url);
    await Bun.stdin.stream().getReader().read();
    await server.stop();
    process.exit(0);`;
  const child = Bun.spawn([...through, process.execPath, '-e', script], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
  });
  return {
    pid: child.pid,
    async url() {
      const { value } = await child.stdout.getReader().read();
      const text = new TextDecoder().decode(value).trim();
      if (!text.startsWith('postgres://')) throw new Error(text.replace(/^failed: /, ''));
      return text;
    },
    async stop() {
      child.stdin.write('stop');
      await child.stdin.end();
      return child.exited;
    },
    async kill() {
      child.kill('SIGKILL');
      await child.exited;
    },
  };
}

/** As a container has: own processes, own shared memory, own mounts. Its processes end with it. */
export const CONTAINER = ['unshare', '--pid', '--fork', '--kill-child', '--ipc', '--mount-proc'] as const;

/** Whether namespaces can be created here, which needs root. Throws if ATLAS_REQUIRE_SERVICES=1 and they cannot. */
export function canUnshare(): boolean {
  const path = process.getuid?.() === 0 ? Bun.which('unshare') : null;
  const works = path !== null && Bun.spawnSync([...CONTAINER, 'true']).success;
  return isAvailable('unshare (as root)', works ? path : null);
}

/** The words that run a command where the folder has a second name. */
export function withBindMount(folder: string, name: string): readonly string[] {
  return ['unshare', '--mount', 'sh', '-c', 'mount --bind "$0" "$1" && shift && exec "$@"', folder, name];
}
