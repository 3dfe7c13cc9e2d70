const POLL_MS = 500;
/** Set by `infra/launch.mjs` to its process ID. */
const LAUNCHER = 'ATLAS_LAUNCHER';

/**
 * Calls `stop` once the launcher that started this process has exited without stopping it, as after `kill -9`. Does
 * nothing for a process that was started without the launcher.
 */
export function onLauncherExit(stop: () => void): void {
  const launcher = process.env[LAUNCHER];
  // Commands that a started process starts inherit the variable, but have another parent.
  if (launcher !== String(process.ppid)) return;
  const poll = setInterval(() => {
    if (launcher === String(process.ppid)) return;
    clearInterval(poll);
    stop();
  }, POLL_MS);
  poll.unref();
}
