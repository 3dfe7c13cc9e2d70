import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { accountId } from './load/account-id.ts';
import { definePart } from './part.ts';
import type { Plan } from './plan.ts';
import { type BenchDatabase, resetLedger, startDatabase, verifyLedger } from './support/database.ts';
import { freshFolder } from './support/folders.ts';
import { inRepository, type Server, start, startServer } from './support/processes.ts';
import { progress } from './support/progress.ts';
import { alignedTable, count, decimal, median } from './support/statistics.ts';
import { atLeast } from './targets.ts';

const ACCOUNTS = 10_000;
const POLL_MS = 50;
const LINES_PER_SECOND_MIN = 20_000;

const FORMATS = ['ndjson', 'csv'] as const;
type Format = (typeof FORMATS)[number];
const WAYS = { command: 'atlas import', server: 'POST /v1/imports' } as const;
type Way = keyof typeof WAYS;
const ways = Object.keys(WAYS) as Way[];

interface Measured {
  readonly way: Way;
  readonly format: Format;
  /** Lines ÷ seconds from the creation of the import to its end, by round. */
  readonly perSecond: readonly number[];
}

interface ImportsResult {
  readonly lines: number;
  readonly imports: readonly Measured[];
  /** Lines ÷ seconds of `atlas export`, its start included, by round. */
  readonly exportedPerSecond: readonly number[];
}

/** Measures imports of a file of transfers by the command and by a server, and the export of what they posted. */
async function benchImports({ rounds, thousandLines }: Plan['imports']): Promise<ImportsResult> {
  const lines = thousandLines * 1000;
  const folder = freshFolder();
  const database = await startDatabase();
  const env = { ENVIRONMENT: 'production', DATABASE_URL: database.url, ATLAS_DATA_DIR: folder };
  const atlas = await startServer([process.execPath, inRepository('src/main.ts'), 'serve'], {
    env: { ...env, API_PORT: '0', API_WORKERS: '1' },
  });
  const paths = { ndjson: join(folder, 'lines.ndjson'), csv: join(folder, 'lines.csv') };
  for (const format of FORMATS) await writeLines(paths[format], format, lines);
  const run = {
    command: (path: string) => byCommand(env, path),
    server: (path: string) => byServer(atlas, database, path),
  };
  const measured = ways.flatMap((way) =>
    FORMATS.map((format) => ({ way, format, perSecond: [] as number[] })),
  );
  const exportedPerSecond: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const { way, format, perSecond } of measured) {
      await resetLedger(database.sql, ACCOUNTS);
      await run[way](paths[format]);
      perSecond.push(lines / (await secondsOf(database, lines)));
      await verifyLedger(database.database);
      progress(
        `imports: round ${round}/${rounds}  ${WAYS[way]} ${format}: ${count(perSecond.at(-1)!)} lines/s`,
      );
    }
    const startedMs = performance.now();
    await atlasCommand(env, [
      'export',
      '--organization',
      'owner',
      '--out',
      join(folder, `export-${round}.ndjson`),
    ]);
    exportedPerSecond.push(lines / ((performance.now() - startedMs) / 1000));
    progress(`imports: round ${round}/${rounds}  atlas export: ${count(exportedPerSecond.at(-1)!)} lines/s`);
  }
  return { lines, imports: measured, exportedPerSecond };
}

/** Transfers between random accounts, with what they usually have. */
async function writeLines(path: string, format: Format, lines: number): Promise<void> {
  const file = createWriteStream(path);
  if (format === 'csv') file.write('debitAccountId,creditAccountId,amount,reference,metadata.order\r\n');
  for (let i = 0; i < lines; i++) {
    const debit = 1 + Math.floor(Math.random() * ACCOUNTS);
    const [debitAccountId, creditAccountId] = [accountId(debit), accountId(1 + (debit % ACCOUNTS))];
    const [amount, reference, order] = [1 + (i % 10_000), `Invoice ${i}`, `${i}`];
    const line =
      format === 'csv'
        ? `${debitAccountId},${creditAccountId},${amount},${reference},${order}\r\n`
        : `${JSON.stringify({ type: 'transfer', debitAccountId, creditAccountId, amount, reference, metadata: { order } })}\n`;
    if (!file.write(line)) await new Promise((resolve) => file.once('drain', resolve));
  }
  await new Promise((resolve) => file.end(resolve));
}

type Environment = Readonly<Record<string, string>>;

async function atlasCommand(env: Environment, args: readonly string[]): Promise<void> {
  await start([process.execPath, inRepository('src/main.ts'), ...args], { env }).output;
}

async function byCommand(env: Environment, path: string): Promise<void> {
  await atlasCommand(env, ['import', path, '--organization', 'owner']);
}

async function byServer({ url }: Server, { apiKey, sql }: BenchDatabase, path: string): Promise<void> {
  const headers = { Authorization: `Bearer ${apiKey}` };
  const format = path.endsWith('.csv') ? 'csv' : 'ndjson';
  const upload = await fetch(`${url}/v1/files?name=lines`, {
    method: 'POST',
    body: Bun.file(path),
    headers: { ...headers, 'Content-Type': 'text/plain' },
  });
  const { id: fileId } = (await upload.json()) as { id: string };
  const created = await fetch(`${url}/v1/imports`, {
    method: 'POST',
    body: JSON.stringify({ fileId, format }),
    headers: { ...headers, 'Content-Type': 'application/json', 'Idempotency-Key': crypto.randomUUID() },
  });
  if (created.status !== 202) throw new Error(`The import was refused: ${await created.text()}`);
  for (;;) {
    const [row] = await sql<[{ running: boolean }]>`
      SELECT EXISTS (SELECT FROM imports WHERE finished_at IS NULL) AS running`;
    if (!row.running) return;
    await Bun.sleep(POLL_MS);
  }
}

/** Returns the seconds that the last import took. Throws unless it has posted every line. */
async function secondsOf({ sql }: BenchDatabase, lines: number): Promise<number> {
  const [row] = await sql<[{ seconds: number; posted: number }]>`
    SELECT extract(epoch FROM finished_at - created_at)::float8 AS seconds, posted::int FROM imports
    ORDER BY id DESC LIMIT 1`;
  if (row.posted !== lines) throw new Error(`${row.posted} of ${lines} lines were posted.`);
  return row.seconds;
}

export const imports = definePart({
  title: 'Imports and exports',
  note: `A file of transfers between ${count(ACCOUNTS)} accounts, each with a reference and metadata, imported by \`atlas import\` and by one
worker of \`atlas serve\`, from the creation of the import to its end: validated, then posted in batches of 1,000. Then exported by \`atlas
export\`, its start included.`,
  measure: ({ plan }) => benchImports(plan.imports),
  tables: ({ lines, imports: measured, exportedPerSecond }) => [
    alignedTable(
      [`${count(lines)} lines`, 'format', 'lines per second', 'range'],
      [
        ...measured.map(({ way, format, perSecond }) => rowOf(WAYS[way], format, perSecond)),
        rowOf('atlas export', 'ndjson', exportedPerSecond),
      ],
    ),
  ],
  targets: ({ imports: measured }) =>
    measured.map(({ way, format, perSecond }) =>
      atLeast(`lines/s, ${WAYS[way]}, ${format}`, median(perSecond), LINES_PER_SECOND_MIN, 0),
    ),
});

function rowOf(name: string, format: Format, perSecond: readonly number[]): string[] {
  const [least, most] = [Math.min(...perSecond), Math.max(...perSecond)];
  return [name, format, count(median(perSecond)), `${decimal(least, 0)}–${decimal(most, 0)}`];
}
