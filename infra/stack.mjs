// The stack of compose.yaml: node infra/stack.mjs up|down|logs|shell|grafana|prometheus|metrics
import { spawnSync } from 'node:child_process';

const PAGES = {
  grafana: 'http://localhost:3000/dashboards',
  prometheus: 'http://localhost:9090/targets',
};
const COMPOSE = {
  up: ['up', '--detach', '--build', '--wait'],
  down: ['down'],
  logs: ['logs', '--follow', '--tail', '200'],
  shell: ['exec', 'postgres', 'psql', '--username=atlas', 'atlas'],
};
const USAGE = `Runs the stack of compose.yaml on a machine with Docker.

  npm run up          build and start everything, and wait until it is healthy
  npm run down        stop everything and keep the data (npm run down -- --volumes removes it)
  npm run logs        follow the logs (npm run -s logs -- api shows one service)
  npm run shell       open psql on the database of the stack
  npm run grafana     open the dashboards: ${PAGES.grafana}
  npm run prometheus  open Prometheus: ${PAGES.prometheus}
  npm run metrics     print the current metrics of Atlas
`;

function stop(why, remedy, what = 'The stack is unchanged.') {
  process.stderr.write(`\n${what}\n  why:  ${why}\n  do:   ${remedy}\n`);
  process.exit(1);
}

function compose(args) {
  const native =
    'install Docker with its compose plugin, or run the services without it: npm run services -- start';
  const found = spawnSync('docker', ['compose', 'version'], { stdio: 'ignore' });
  if (found.error || found.status !== 0) stop('docker compose is not installed', native);
  const { status } = spawnSync('docker', ['compose', ...args], { stdio: 'inherit' });
  process.exit(status ?? 1);
}

async function openPage(name) {
  const url = PAGES[name];
  const isUp = await fetch(url).then(
    (response) => response.ok,
    () => false,
  );
  if (!isUp) stop(`${url} does not respond`, 'start the stack: npm run up', 'The page could not be opened.');
  console.log(url);
  const opener = { darwin: 'open', win32: 'explorer' }[process.platform] ?? 'xdg-open';
  spawnSync(opener, [url], { stdio: 'ignore' });
}

async function printMetrics() {
  const { ADMIN_PORT, API_PORT } = process.env;
  // Of npm start, and of the stack, which has a port for operators.
  const ports = ADMIN_PORT ? [ADMIN_PORT] : [API_PORT || 8000, 8001];
  const urls = ports.map((port) => `http://127.0.0.1:${port}/metrics`);
  let response = null;
  for (const url of urls) response = response?.ok ? response : await fetch(url).catch(() => null);
  if (!response?.ok)
    stop(
      `no metrics at ${urls.join(' or ')}`,
      'start Atlas: npm start, or npm run up; if it has an ADMIN_PORT, set that here too',
      'The metrics could not be read.',
    );
  process.stdout.write(await response.text());
}

const [command, ...more] = process.argv.slice(2);
if (command in COMPOSE) compose([...COMPOSE[command], ...more]);
else if (command in PAGES) await openPage(command);
else if (command === 'metrics') await printMetrics();
else {
  process.stdout.write(USAGE);
  process.exit(command === undefined || command === '--help' ? 0 : 1);
}
