import { mkdir, writeFile } from 'node:fs/promises';
import type { Conditions } from '../conditions.ts';
import { inRepository } from './processes.ts';

const FOLDER = '.atlas/bench';

/** Stores the results and the conditions of a run in a file. Returns its path. */
export async function writeReport<R extends { readonly conditions: Conditions }>(
  name: string,
  report: R,
): Promise<string> {
  await mkdir(inRepository(FOLDER), { recursive: true });
  const path = `${FOLDER}/${name}-${report.conditions.date.replaceAll(/[:.]/g, '-')}.json`;
  await writeFile(inRepository(path), `${JSON.stringify({ name, ...report }, null, 2)}\n`);
  return path;
}
