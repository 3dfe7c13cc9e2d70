#!/usr/bin/env node
// Runs Bun with the given arguments, after downloading what is missing. Needs only Node 20 or Bun:
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

function downloadedBuns() {
  const scope = join(toolsDir, 'node_modules', '@oven');
  return existsSync(scope) ? readdirSync(scope).map((name) => join(scope, name, 'bin', exe)) : [];
}

function findBun() {
  const here = process.versions.bun ? [process.execPath] : [];
  return [...here, ...downloadedBuns(), exe].find(isNewEnough);
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

function downloadBun() {
  process.stderr.write(`Atlas: downloading Bun ${required} …\n`);
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
  const bun = downloadedBuns().find(isNewEnough);
  if (bun) return bun;
  return stop(
    `Bun ${required} could not be downloaded.`,
    npm.stderr?.trim() || String(npm.error ?? 'npm did not install a working Bun'),
    `Install Bun ${required} or newer by hand, then run the command again.`,
  );
}

function installDependencies(bun) {
  const lockHash = createHash('sha256')
    .update(readFileSync(join(root, 'bun.lock')))
    .update(readFileSync(join(root, 'package.json')))
    .digest('hex');
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === lockHash) return;
  process.stderr.write('Atlas: installing the locked dependencies …\n');
  const result = run(bun, ['install', '--frozen-lockfile'], root);
  if (result.status !== 0) {
    stop(
      'The dependencies could not be installed.',
      result.stderr?.trim() || String(result.error),
      'Check that the npm registry can be reached, then run the command again.',
    );
  }
  writeFileSync(stampFile, lockHash);
}

const bun = findBun() ?? downloadBun();
installDependencies(bun);
const given = process.argv.slice(2);
const args = given.length > 0 ? given : [join(root, 'src', 'main.ts')];
const env = {
  ...process.env,
  // A server stops when its launcher does: one that nobody waits for would serve on unnoticed.
  ATLAS_LAUNCHER: String(process.pid),
  // A Bun found by name is already on the PATH.
  PATH: [...(bun === exe ? [] : [dirname(bun)]), process.env.PATH ?? ''].join(delimiter),
};
// A server is restarted when it was killed or failed while serving; any other command just exits.
const serves = /main\.ts$/.test(args.at(-1)) || args.includes('serve');
const RESTARTS_MAX = 5;
const RESTARTS_WINDOW_MS = 60_000;
const RESTART_DELAY_MS = 100;
// The exit status of a server that failed after its start. One that failed during its start would only fail again.
const FAILED_WHILE_SERVING = 75;
let restartsMs = [];
let isStopping = false;
let child = start();

function start() {
  const started = spawn(bun, args, { cwd: root, stdio: 'inherit', env });
  started.on('error', (error) => stop('Bun could not be started.', error.message, 'Run the command again.'));
  started.on('exit', onExit);
  return started;
}

// A server that exits on a signal that was not passed on from here was killed or has crashed.
function onExit(code, signal) {
  const restarts = restartsMs.filter((ms) => ms > performance.now() - RESTARTS_WINDOW_MS);
  const failed = signal !== null || code === FAILED_WHILE_SERVING;
  if (!serves || isStopping || !failed || restarts.length >= RESTARTS_MAX)
    process.exit(code ?? 128 + (constants.signals[signal] ?? 0));
  restartsMs = [...restarts, performance.now()];
  process.stderr.write(
    `Atlas: ${signal === null ? `exited with status ${code}` : `killed by ${signal}`}, restarting …\n`,
  );
  setTimeout(
    () => {
      child = start();
    },
    RESTART_DELAY_MS * 2 ** restarts.length,
  );
}

function stopServer(signal) {
  isStopping = true;
  // Between exit and restart there is no process to pass it on to.
  if (child.exitCode !== null || child.signalCode !== null) process.exit(128 + constants.signals[signal]);
  // After Ctrl+C the child has it twice, as the terminal sends it to the whole process group: every handler in this
  // repository takes two signals at once for one.
  child.kill(signal);
}

for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => stopServer(signal));
process.on('SIGHUP', () => child.kill('SIGHUP'));
// The shell between npm and this process does not pass signals on, so its exit means that Atlas is to stop. The child
// gets one signal only, because a second one makes it drop the requests in flight.
if (process.env.npm_lifecycle_event) {
  const parent = process.ppid;
  const parentCheck = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(parentCheck);
    stopServer('SIGTERM');
  }, 500);
  parentCheck.unref();
}
