import { existsSync } from 'node:fs';
import { installPackages, stopService } from './debian.ts';

/** A load balancer that tests put in front of Atlas: Debian's package. */
interface LoadBalancer {
  readonly title: string;
  readonly package: 'nginx' | 'haproxy';
  readonly binary: string;
}

const NGINX: LoadBalancer = { title: 'nginx', package: 'nginx', binary: '/usr/sbin/nginx' };
const HAPROXY: LoadBalancer = { title: 'HAProxy', package: 'haproxy', binary: '/usr/sbin/haproxy' };

/** Returns the path of nginx, or null if it is not installed. */
export const findNginx = () => find(NGINX);
/** Returns the path of HAProxy, or null if it is not installed. */
export const findHaproxy = () => find(HAPROXY);
export const installNginx = () => install(NGINX);
export const installHaproxy = () => install(HAPROXY);

function find({ binary }: LoadBalancer): string | null {
  return existsSync(binary) ? binary : null;
}

async function install(loadBalancer: LoadBalancer): Promise<void> {
  if (find(loadBalancer) !== null) return;
  await installPackages(loadBalancer.package);
  stopService(loadBalancer.package);
}
