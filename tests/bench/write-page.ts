import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { DATA_FILE, PAGE_FILE, pageOf, plotFile, plotsOf } from './page.ts';
import { type PageData, withReport } from './report.ts';
import { inRepository } from './support/processes.ts';

const USAGE = `Writes ${PAGE_FILE}, its data and its plots from the JSON of benchmarks. What is not given stays.

  npm run bench:page -- [FILE...]`;

const files = process.argv.slice(2);
if (files.some((file) => file.startsWith('-'))) {
  console.log(USAGE);
  process.exit(files.some((file) => file === '--help' || file === '-h') ? 0 : 1);
}
const readJson = async (path: string): Promise<unknown> => JSON.parse(await readFile(path, 'utf8'));
const stored = inRepository(DATA_FILE);
let data = existsSync(stored) ? ((await readJson(stored)) as PageData) : null;
for (const file of files) data = withReport(data, await readJson(file));
if (data === null) throw new Error(`There is no ${DATA_FILE} yet.\n\n${USAGE}`);
await mkdir(inRepository('docs/plots'), { recursive: true });
const written = {
  [DATA_FILE]: `${JSON.stringify(data, null, 1)}\n`,
  [PAGE_FILE]: pageOf(data),
  ...Object.fromEntries(Object.entries(plotsOf(data.bench)).map(([name, svg]) => [plotFile(name), svg])),
};
for (const [path, text] of Object.entries(written)) await writeFile(inRepository(path), text);
console.log(`Written: ${Object.keys(written).join(', ')}`);
