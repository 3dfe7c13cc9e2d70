#!/usr/bin/env node
// Runs Bun with the arguments it is given, after fetching whatever is missing. It needs Node 20 or Bun, and nothing else:
//   node infra/launch.mjs src/main.ts serve
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const required = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).engines.bun.replace('>=', '');
const toolsDir = join(root, 'node_modules', '.tools');
const stampFile = join(root, 'node_modules', '.atlas-installed');
const exe = process.platform === 'win32' ? 'bun.exe' : 'bun';

function stop(what, why, remedy) {
  process.stderr.write(`\n${what}\n  why:  ${why}\n  do:   ${remedy}\n`);
  process.exit(1);
}

function isNewEnough(bun) {
  const found = spawnSync(bun, ['--version'], { encoding: 'utf8' });
  if (found.status !== 0) return false;
  const [a, b] = [found.stdout, required].map((version) =>
    version
      .trim()
      .split('.')
      .map((part) => Number.parseInt(part, 10)),
  );
  return a[0] !== b[0] ? a[0] > b[0] : a[1] !== b[1] ? a[1] > b[1] : a[2] >= b[2];
}

function fetchedBuns() {
  const scope = join(toolsDir, 'node_modules', '@oven');
  return existsSync(scope) ? readdirSync(scope).map((name) => join(scope, name, 'bin', exe)) : [];
}

function findBun() {
  const here = process.versions.bun ? [process.execPath] : [];
  return [...here, ...fetchedBuns(), exe].find(isNewEnough);
}

function run(command, args, cwd) {
  // Windows finds npm only as npm.cmd, which needs a shell.
  const options = {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    shell: process.platform === 'win32',
  };
  return spawnSync(command, args, options);
}

function fetchBun() {
  process.stderr.write(`Atlas: fetching Bun ${required} …\n`);
  mkdirSync(toolsDir, { recursive: true });
  writeFileSync(join(toolsDir, 'package.json'), '{"private":true}\n');
  const args = [
    'install',
    '--no-save',
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
    '--include=optional',
    `bun@${required}`,
  ];
  const npm = run('npm', args, toolsDir);
  const bun = fetchedBuns().find(isNewEnough);
  if (bun) return bun;
  return stop(
    `Bun ${required} could not be fetched.`,
    npm.stderr?.trim() || String(npm.error ?? 'npm put no runnable Bun in place'),
    `Install Bun ${required} or newer by hand, then run the command again.`,
  );
}

function installDependencies(bun) {
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'bun.lock')))
    .update(readFileSync(join(root, 'package.json')))
    .digest('hex');
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === wanted) return;
  process.stderr.write('Atlas: installing the locked dependencies …\n');
  const result = run(bun, ['install', '--frozen-lockfile'], root);
  if (result.status !== 0) {
    stop(
      'The dependencies could not be installed.',
      result.stderr?.trim() || String(result.error),
      'Check that the npm registry can be reached, then run the command again.',
    );
  }
  writeFileSync(stampFile, wanted);
}

const bun = findBun() ?? fetchBun();
installDependencies(bun);
const given = process.argv.slice(2);
const args = given.length > 0 ? given : [join(root, 'src', 'main.ts')];
const env = {
  ...process.env,
  // A Bun that was found by its name alone is on the path already.
  PATH: [...(bun === exe ? [] : [dirname(bun)]), process.env.PATH ?? ''].join(delimiter),
};
// A server is started anew when it died or failed while it served; any other command is over then.
const serves = /main\.ts$/.test(args.at(-1)) || args.includes('serve');
const RESTARTS_MAX = 5;
const RESTARTS_WINDOW_MS = 60_000;
const RESTART_DELAY_MS = 100;
// What the server ends with when it fails after its start. What fails at its start would only fail again.
const FAILED_WHILE_SERVING = 75;
let restartsMs = [];
let ordered = false;
let child = start();

function start() {
  const started = spawn(bun, args, { cwd: root, stdio: 'inherit', env });
  started.on('error', (error) => stop('Bun could not be started.', error.message, 'Run the command again.'));
  started.on('exit', ended);
  return started;
}

// The server ends by a signal that nobody here passed on when it was killed or has crashed.
function ended(code, signal) {
  const restarts = restartsMs.filter((ms) => ms > performance.now() - RESTARTS_WINDOW_MS);
  const failed = signal !== null || code === FAILED_WHILE_SERVING;
  if (!serves || ordered || !failed || restarts.length >= RESTARTS_MAX)
    process.exit(code ?? 128 + (constants.signals[signal] ?? 0));
  restartsMs = [...restarts, performance.now()];
  process.stderr.write(
    `Atlas: ended ${signal === null ? `with ${code}` : `by ${signal}`}, starting it anew …\n`,
  );
  setTimeout(
    () => {
      child = start();
    },
    RESTART_DELAY_MS * 2 ** restarts.length,
  );
}

function order(signal) {
  ordered = true;
  // Between two lives there is nobody to pass it on to.
  if (child.exitCode !== null || child.signalCode !== null) process.exit(128 + constants.signals[signal]);
  // A terminal sends Ctrl+C to the whole group, so the child has it already; what comes by kill is passed on.
  if (signal !== 'SIGINT') child.kill(signal);
}

for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => order(signal));
process.on('SIGHUP', () => child.kill('SIGHUP'));
// The shell that npm puts in between passes no signal on: when it is gone, whoever ended npm meant Atlas. It is told
// once, because a second order means not to finish what is in flight.
if (process.env.npm_lifecycle_event) {
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    order('SIGTERM');
  }, 500);
  watch.unref();
}
