import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { csvEnd, csvHead, csvLines } from '../features/ledger/history/csv-lines.ts';
import type { StatementHead, TimeOrder } from '../features/ledger/history/domain.ts';
import { jsonEnd, jsonHead, jsonLines } from '../features/ledger/history/json-lines.ts';
import type { Features } from '../features.ts';
import type { WithService } from './session.ts';

interface StatementOptions {
  readonly owner: string;
  readonly from?: number;
  readonly to?: number;
  readonly by: TimeOrder;
  readonly format: 'json' | 'csv' | 'pdf';
  readonly output?: string;
}

type History = Features['ledger']['history'];

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function addStatementsCommand(program: Command, withLedger: WithService<Features['ledger']>): void {
  program
    .command('statements')
    .description('print the statement of an account for a period: opening balance, entries, closing balance')
    .argument('<account>', 'the ID of the account', parseId)
    .option('--from <time>', 'start of the period, included; the first entry by default', parseTime)
    .option('--to <time>', 'end of the period, not included; now by default', parseTime)
    .addOption(
      new Option('--by <time>', 'when entries were recorded, or when they took effect')
        .choices(['recorded', 'effective'])
        .default('recorded'),
    )
    .addOption(
      new Option('--format <format>', 'PDF has at most 10,000 entries')
        .choices(['json', 'csv', 'pdf'])
        .default('csv'),
    )
    .option('--output <file>', 'write to this file; standard output by default')
    .option('--owner <organization>', 'the organization that has the account', 'owner')
    .action((account: string, options: StatementOptions) =>
      withLedger(async ({ history }) => {
        const { owner, by, from = null, to = null, format, output } = options;
        const head = await history.head(owner, account, { by, fromMs: from, toMs: to });
        const target = output === undefined ? process.stdout : createWriteStream(output);
        for await (const part of partsOf(history, owner, head, format))
          if (!target.write(part)) await once(target, 'drain');
        if (target === process.stdout) return;
        target.end();
        await finished(target);
      }),
    );
}

async function* partsOf(
  history: History,
  owner: string,
  head: StatementHead,
  format: StatementOptions['format'],
) {
  if (format === 'pdf') {
    yield await history.pdf(owner, head);
    return;
  }
  const isCsv = format === 'csv';
  yield isCsv ? csvHead(head) : jsonHead(head);
  let isFirst = true;
  for await (const entries of history.read(owner, head)) {
    yield isCsv ? csvLines(entries) : jsonLines(entries, isFirst);
    isFirst = false;
  }
  yield isCsv ? csvEnd(head) : jsonEnd();
}

function parseId(given: string): string {
  const id = given.toLowerCase();
  if (!UUID.test(id)) throw new InvalidArgumentError('It must be a UUID.');
  return id;
}

function parseTime(given: string): number {
  const ms = Date.parse(given);
  if (Number.isNaN(ms) || !/^\d{4}-\d\d-\d\d/.test(given))
    throw new InvalidArgumentError(
      'It must be a time such as 2026-01-31T12:00:00Z, or a day such as 2026-01-31 (UTC).',
    );
  return ms;
}
