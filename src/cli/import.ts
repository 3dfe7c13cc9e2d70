import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { basename } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Command, Option } from 'commander';
import { AtlasError } from '../errors.ts';
import { commandActor } from '../features/actor.ts';
import {
  type ClaimedImport,
  ID_MODES,
  type IdMode,
  IMPORT_FORMATS,
  type Import,
  type ImportFormat,
} from '../features/ledger/import.ts';
import { type Progress, runImport } from '../features/ledger/import-runs/run-import.ts';
import { localSource } from '../features/ledger/import-runs/sources.ts';
import { toReport } from '../features/ledger/imports/report.ts';
import type { Features } from '../features.ts';
import { plural } from './output.ts';
import type { WithService } from './session.ts';

interface ImportOptions {
  readonly organization: string;
  readonly format?: ImportFormat;
  readonly ids: IdMode;
  readonly dryRun?: boolean;
  readonly resume?: true;
}

// A process that was killed has its import for some seconds more.
const LEASE_WAIT_MS = 8000;
const POLL_MS = 500;
const SHOW_MS = 500;

export function addImportCommand(program: Command, withFeatures: WithService<Features>): void {
  program
    .command('import')
    .description(
      'import accounts, transfers, holds, and documents from a file; exits with 1 if lines are refused',
    )
    .argument('<file>', 'a CSV or NDJSON file: see docs/api/imports-and-exports.md')
    .option('--organization <id>', 'the organization that they are for', 'owner')
    .addOption(
      new Option('--format <format>', 'by default that of the name of the file').choices([...IMPORT_FORMATS]),
    )
    .addOption(
      new Option('--ids <mode>', 'whether IDs in the file are those of this database, or of another one')
        .choices([...ID_MODES])
        .default('keep'),
    )
    .option('--dry-run', 'validate the file only')
    .option('--resume', 'go on with an import of this file that was interrupted')
    .action((path: string, options: ImportOptions) =>
      withFeatures(async (features) => importFile(features, path, options)),
    );
}

async function importFile(features: Features, path: string, options: ImportOptions): Promise<void> {
  const { organization: owner } = options;
  const { suspendedAt } = await features.identity.organizations.get(owner);
  if (suspendedAt !== null)
    throw new Error(
      `Nothing was imported.\n  why:  ${owner} is suspended\n  do:   reinstate it first: atlas organizations reinstate ${owner}`,
    );
  const { service, claims, targets } = features.imports;
  const file = await describeFile(path);
  const claim = await claimImport(features, file, options);
  const show = progressLine();
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort();
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  const resume = `Go on with it: atlas import ${path} --organization ${owner} --resume`;
  try {
    const end = await runImport(claim, {
      claims,
      targets,
      source: localSource(path),
      isOver: () => interrupted.signal.aborted,
      onApplied: (_, at) => show(at),
    });
    if (end === 'paused' || end === 'suspended') {
      await claims.release(claim);
      const why = end === 'suspended' ? `\n  why:  ${owner} was suspended meanwhile` : '';
      throw new Error(`The import was interrupted.${why}\n  do:   ${resume}`);
    }
  } catch (error) {
    process.stderr.write(`\n${resume}\n`);
    throw error;
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
  const found = await service.find(owner, claim.id);
  const report = found.refused > 0 ? await writeReport(features, found, path) : null;
  process.stdout.write(summary(found, report));
  if (found.state !== 'done' || found.refused > 0) process.exitCode = 1;
}

interface DescribedFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

async function describeFile(path: string): Promise<DescribedFile> {
  const file = Bun.file(path);
  if (!(await file.exists()) || file.size === 0)
    throw new Error(`Nothing was imported.\n  why:  ${path} is no file, or is empty\n  do:   check the path`);
  const hash = createHash('sha256');
  for await (const piece of file.stream()) hash.update(piece);
  return { name: basename(path).slice(0, 255), sizeBytes: file.size, sha256: hash.digest('hex') };
}

/** Creates the import, or takes over one that was interrupted. */
async function claimImport(
  { imports: { service, claims } }: Features,
  file: DescribedFile,
  { organization, format, ids, dryRun = false, resume }: ImportOptions,
): Promise<ClaimedImport> {
  if (!resume) {
    const request = { format: format ?? formatOf(file.name), ids, dryRun };
    await service.createLocal(organization, file, request, commandActor()).catch((error) => {
      if (!(error instanceof AtlasError) || error.code !== 'too_many_imports') throw error;
      throw new Error(
        `Nothing was imported.\n  why:  ${organization} has unfinished imports\n  do:   wait for them, or if one is of this file and was interrupted, add --resume`,
      );
    });
  }
  const untilMs = performance.now() + LEASE_WAIT_MS;
  for (;;) {
    const claim = await claims.claimOwn(organization, file.sha256);
    if (claim !== null && claim !== 'busy') return claim;
    if (claim === null)
      throw new Error(
        `Nothing was imported.\n  why:  ${organization} has no unfinished import of this file\n  do:   leave out --resume; lines that were imported before and have IDs have no effect twice`,
      );
    if (performance.now() > untilMs)
      throw new Error(
        'Nothing was imported.\n  why:  another process imports this file\n  do:   wait for it',
      );
    await Bun.sleep(POLL_MS);
  }
}

function formatOf(name: string): ImportFormat {
  return name.toLowerCase().endsWith('.csv') ? 'csv' : 'ndjson';
}

/** Shows the progress on standard error: one line that changes on a terminal, otherwise a few lines. */
function progressLine(): (at: Progress) => void {
  let shownMs = Number.NEGATIVE_INFINITY;
  let shown = '';
  return ({ state, position, sizeBytes }) => {
    const isEnd = position >= sizeBytes;
    const text = `${state} ${Math.floor((position / sizeBytes) * 100)} %`;
    if (text === shown || (!isEnd && performance.now() - shownMs < SHOW_MS)) return;
    shownMs = performance.now();
    shown = text;
    process.stderr.write(process.stderr.isTTY ? `\r${text}   ${isEnd ? '\n' : ''}` : `${text}\n`);
  };
}

async function writeReport({ imports }: Features, { owner, id }: Import, path: string): Promise<string> {
  const report = `${path}.refused.ndjson`;
  const pages = await imports.service.report(owner, id);
  async function* texts() {
    for await (const page of pages) yield toReport(page, 'ndjson');
  }
  await pipeline(texts(), createWriteStream(report));
  return report;
}

function summary(found: Import, report: string | null): string {
  const { id, state, failure, lines, posted, existed, skipped, refused, dryRun } = found;
  const what = `${plural(lines, 'line')}: ${posted} posted, ${existed} existed, ${skipped} skipped, ${refused} refused`;
  const end = failure === null ? state : `${state} (${failure})`;
  const rest = report === null ? '' : `Refused lines: ${report}\n`;
  return `Import ${id} is ${end}${dryRun ? ', a dry run' : ''}.\n${what}\n${rest}`;
}
