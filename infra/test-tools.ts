import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { installPackages } from './debian.ts';
import { findPythonTool, installPythonTool } from './python-tool.ts';

const CHROMIUM = '/usr/bin/chromium';
const SCHEMATHESIS = { name: 'schemathesis', version: '4.32.5' };
// The generator formats what it writes with ruff; mypy checks it.
const CLIENT_GENERATOR = {
  name: 'openapi-python-client',
  version: '0.29.1',
  others: ['mypy==2.4.1', 'ruff==0.17.6'],
};

/** Returns the path of Debian's Chromium, or null if it is not installed. */
export function findChromium(): string | null {
  return existsSync(CHROMIUM) ? CHROMIUM : null;
}

export async function installChromium(): Promise<void> {
  if (findChromium() === null) await installPackages('chromium');
}

/** Returns the path of the pinned schemathesis, or null if {@link installSchemathesis} has not installed it. */
export function findSchemathesis(): string | null {
  const folder = findPythonTool(SCHEMATHESIS);
  return folder && join(folder, SCHEMATHESIS.name);
}

export function installSchemathesis(): Promise<void> {
  return installPythonTool(SCHEMATHESIS);
}

/** Returns the folder of the commands `openapi-python-client`, `mypy`, `ruff`, and `python`, or null. */
export function findClientGenerator(): string | null {
  return findPythonTool(CLIENT_GENERATOR);
}

export function installClientGenerator(): Promise<void> {
  return installPythonTool(CLIENT_GENERATOR);
}
