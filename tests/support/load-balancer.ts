import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../infra/free-port.ts';
import { findHaproxy, findNginx } from '../../infra/load-balancers.ts';
import { startNativeProcess } from '../../infra/native-process.ts';

const RUNBOOK = join(import.meta.dir, '../../docs/runbooks/004-several-hosts-and-releases.md');
const READY_TIMEOUT_MS = 15_000;
const NGINX_PATHS = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

export type LoadBalancerName = 'nginx' | 'HAProxy';

/** A load balancer with the configuration of the runbook. */
export interface LoadBalancer {
  readonly url: string;
  stop(): Promise<void>;
}

/** Returns the path of the program, or null if it is not installed. */
export function findLoadBalancer(name: LoadBalancerName): string | null {
  return name === 'nginx' ? findNginx() : findHaproxy();
}

/**
 * Starts a load balancer with its example in the runbook: the first host is this Atlas, the second one is down, and all
 * times are divided by `speed`.
 */
export async function startLoadBalancer(
  name: LoadBalancerName,
  atlasUrl: string,
  speed: number,
): Promise<LoadBalancer> {
  const folder = await mkdtemp(join(tmpdir(), 'atlas-load-balancer-'));
  await chmod(folder, 0o755);
  const [port, deadPort] = [await freePort(), await freePort()];
  const example = exampleOf(name)
    .replaceAll('10.0.0.11:8000', new URL(atlasUrl).host)
    .replaceAll('10.0.0.12:8000', `127.0.0.1:${deadPort}`)
    .replace(name === 'nginx' ? 'listen 80;' : 'bind :80', (found) =>
      found.replace(/:?80/, `127.0.0.1:${port}`),
    )
    // nginx takes whole seconds here only.
    .replace(/(?<!fail_timeout=)\b(\d+)s\b/g, (_, seconds) => `${(Number(seconds) * 1000) / speed}ms`);
  const file = join(folder, 'configuration');
  await writeFile(file, name === 'nginx' ? inNginx(example, folder) : example);
  const url = `http://127.0.0.1:${port}`;
  const running = await startNativeProcess({
    title: name,
    command: findLoadBalancer(name)!,
    args: name === 'nginx' ? ['-e', 'stderr', '-p', folder, '-c', file] : ['-db', '-f', file],
    isReady: () =>
      fetch(`${url}/health/ready`).then(
        ({ ok }) => ok,
        () => false,
      ),
    readyTimeoutMs: READY_TIMEOUT_MS,
    remedy: `check its example in ${RUNBOOK}`,
  });
  return {
    url,
    async stop() {
      await running.end('SIGTERM');
      await rm(folder, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

function exampleOf(name: LoadBalancerName): string {
  const block = new RegExp(`\`\`\`${name.toLowerCase()}\\n([\\s\\S]*?)\`\`\``).exec(
    readFileSync(RUNBOOK, 'utf8'),
  );
  if (block === null) throw new Error(`The runbook has no example of ${name}.`);
  return block[1]!;
}

/** Returns what an example needs around it to run in a folder, in the foreground. */
function inNginx(example: string, folder: string): string {
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  const paths = NGINX_PATHS.map((path) => `${path}_temp_path ${join(folder, path)};`).join('\n');
  return `daemon off; ${user} worker_processes 1; pid ${join(folder, 'pid')};
events {}
http {
access_log off;
${paths}
${example}
}
`;
}
