import { installVersitygw, startVersitygw } from '../../infra/versitygw.ts';
import { s3Settings } from '../support/s3.ts';
import { conditionsText, readConditions, requireBenchMachine } from './conditions.ts';
import { connectTo, type FilesClient, filesClient, type Transfer } from './files/client.ts';
import { peakDuring, residentMebibytes, workerOf } from './files/memory.ts';
import { undoAtEnd } from './support/clean-up.ts';
import { QUICK, runBench } from './support/command.ts';
import { type BenchDatabase, startDatabase } from './support/database.ts';
import { freshFolder } from './support/folders.ts';
import { inRepository, startServer } from './support/processes.ts';
import { progress } from './support/progress.ts';
import { writeReport } from './support/report.ts';
import { alignedTable, decimal } from './support/statistics.ts';
import { atMost, type Target, targetsTable } from './targets.ts';

const NOTES = `Peak is the maximum resident memory of the worker during the transfer. Growth is the peak minus the resident memory after a
16 MiB file went both ways. Client, Atlas, PostgreSQL and the object store share the machine; client and Atlas hash every byte.`;
const MIB = 1_048_576;
// Large enough for several parts, so that all code has run once. Growth is then the cost of size alone.
const WARM_UP_BYTES = 16 * MIB;
const GROWTH_MEBIBYTES_MAX = 64;
const PAUSE_MS = 3000;
const BUCKET = 'atlas-bench';

/** An object store to measure Atlas with. */
interface Store {
  readonly name: string;
  readonly settings: Readonly<Record<string, string>>;
  /** Freezes it for a while; null if it has no process. */
  readonly pause: (() => Promise<void>) | null;
}

interface Row {
  readonly store: string;
  readonly transfer: string;
  readonly seconds: number;
  readonly mebibytesPerSecond: number;
  readonly peakMebibytes: number;
  readonly growthMebibytes: number;
}

async function bench({ quick }: { readonly quick: boolean }): Promise<void> {
  const plan = { mode: quick ? 'quick' : 'full', sizeBytes: (quick ? 128 : 1024) * MIB } as const;
  requireBenchMachine();
  const conditions = readConditions(plan);
  const database = await startDatabase();
  const rows: Row[] = [];
  for (const store of [directory(), await s3()])
    rows.push(...(await measure(store, plan.sizeBytes, database)));
  const targets = rows.map(
    ({ store, transfer, growthMebibytes }): Target =>
      atMost(`${store}, ${transfer}: memory growth`, growthMebibytes, GROWTH_MEBIBYTES_MAX, 'MiB', 0),
  );
  const file = await writeReport('files', { conditions, rows, targets });
  const sections = [conditionsText(conditions), `${table(rows)}\n\n${NOTES}`, targetsTable(targets)];
  console.log(`\n${[...sections, `Written to ${file}`].join('\n\n')}`);
  if (targets.some(({ result }) => result === 'missed')) process.exitCode = 1;
}

function directory(): Store {
  return { name: 'directory', settings: {}, pause: null };
}

async function s3(): Promise<Store> {
  progress('starting versitygw');
  await installVersitygw();
  const server = await startVersitygw(freshFolder(), BUCKET);
  undoAtEnd(() => server.end('SIGKILL'));
  return {
    name: 'S3',
    settings: s3Settings({ ...server, bucket: BUCKET }),
    async pause() {
      server.signal('SIGSTOP');
      await Bun.sleep(PAUSE_MS);
      server.signal('SIGCONT');
    },
  };
}

/** Measures all transfers with one store, through a new Atlas. */
async function measure(store: Store, sizeBytes: number, database: BenchDatabase): Promise<Row[]> {
  const atlas = await startServer([process.execPath, inRepository('src/main.ts'), 'serve'], {
    env: {
      ENVIRONMENT: 'production',
      DATABASE_URL: database.url,
      API_PORT: '0',
      API_WORKERS: '1',
      ATLAS_DATA_DIR: freshFolder(),
      ...store.settings,
    },
  });
  const client = filesClient(atlas.url, database.apiKey);
  await client.delete(await client.download(await client.upload(WARM_UP_BYTES)));
  const worker = workerOf(atlas.pid);
  const before = residentMebibytes(worker);
  const rows: Row[] = [];
  const run = async (transfer: string, work: () => Promise<Transfer>) => {
    progress(`${store.name}: ${transfer}`);
    const { result, peakMebibytes } = await peakDuring(worker, work);
    const mebibytesPerSecond = result.sizeBytes / MIB / result.seconds;
    const growthMebibytes = peakMebibytes - before;
    rows.push({
      store: store.name,
      transfer,
      seconds: result.seconds,
      mebibytesPerSecond,
      peakMebibytes,
      growthMebibytes,
    });
    return result;
  };
  await transfers(run, client, sizeBytes, store, atlas.url, database.apiKey);
  await atlas.stop();
  return rows;
}

async function transfers(
  run: (transfer: string, work: () => Promise<Transfer>) => Promise<Transfer>,
  client: FilesClient,
  sizeBytes: number,
  { pause }: Store,
  url: string,
  apiKey: string,
): Promise<void> {
  const file = await run('upload', () => client.upload(sizeBytes));
  await run('download', () => client.download(file));
  await run('download, not read for 3 s', async () => {
    await unread(url, apiKey, file.id);
    return { ...file, seconds: Number.NaN };
  });
  if (pause)
    await client.delete(await run('upload, S3 frozen for 3 s', () => client.upload(sizeBytes, pause)));
  await client.delete(file);
}

/** Requests the file over a bare socket and reads nothing: only what fits the kernel buffers leaves Atlas. */
async function unread(url: string, apiKey: string, id: string): Promise<void> {
  const { host } = new URL(url);
  const socket = await connectTo(url);
  socket.pause();
  socket.write(
    `GET /v1/files/${id}/content HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${apiKey}\r\n\r\n`,
  );
  await Bun.sleep(PAUSE_MS);
  socket.destroy();
}

function table(rows: readonly Row[]): string {
  const cells = rows.map(
    ({ store, transfer, seconds, mebibytesPerSecond, peakMebibytes, growthMebibytes }) => [
      `${store}: ${transfer}`,
      Number.isNaN(seconds) ? '–' : decimal(seconds, 1),
      Number.isNaN(seconds) ? '–' : decimal(mebibytesPerSecond, 0),
      decimal(peakMebibytes, 0),
      decimal(growthMebibytes, 0),
    ],
  );
  return alignedTable(['transfer', 's', 'MiB/s', 'peak MiB', 'growth MiB'], cells);
}

await runBench({
  name: 'bench:files',
  summary:
    'Measures the speed and the memory of an upload and a download through one worker.\nA file has 1 GiB, or 128 MiB with --quick.',
  options: { quick: QUICK },
  run: bench,
});
