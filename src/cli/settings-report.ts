import { loadConfig } from '../config.ts';
import { describeUnknown, type UnknownSetting } from '../utils/unknown-settings.ts';

// They report it in what they print, or get their settings from their supervisor.
const SILENT = new Set(['config', 'doctor', 'worker']);

/** Prints names that look like settings and are none, before a command runs, which reports invalid settings itself. */
export function reportUnknownSettings(command: string): void {
  if (SILENT.has(command)) return;
  let unknown: readonly UnknownSetting[] = [];
  try {
    unknown = loadConfig().unknown;
  } catch {
    return;
  }
  for (const each of unknown) process.stderr.write(`Atlas: ${describeUnknown(each)}\n`);
}
