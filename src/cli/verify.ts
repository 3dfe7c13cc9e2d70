import type { Command } from 'commander';
import type { VerificationProgress } from '../features/ledger/verification/domain.ts';
import type { Features } from '../features.ts';
import { plural } from './output.ts';
import type { WithService } from './session.ts';

interface VerifyOptions {
  readonly owner?: string;
  readonly json?: true;
}

const count = (value: number) => value.toLocaleString('en');
const BAR_WIDTH = 30;
const REDRAW_MS = 100;
// Without a terminal, each report is a line.
const REPORT_MS = 10_000;

export function addVerifyCommand(program: Command, withFeatures: WithService<Features>): void {
  program
    .command('verify')
    .description(
      'verify the ledger and the audit log: every balance against its entries, holds, reversals, keys, and events; read-only; exits with 1 if anything disagrees',
    )
    .option('--owner <organization>', 'only the accounts of this organization (default: everything)')
    .option('--json', 'print as JSON')
    .action(({ owner, json }: VerifyOptions) =>
      withFeatures(async ({ ledger, audit }) => {
        const progress = createProgress();
        const found = await ledger.verification.verify(owner ?? null, undefined, progress.show);
        progress.end();
        const chain = owner === undefined ? await audit.sealing.verify(undefined) : null;
        const isIntact = chain === null || chain.broken === null;
        if (!found.ok || !isIntact) process.exitCode = 1;
        if (json)
          return console.log(
            JSON.stringify(
              { ...found, ...(chain && { audit: { intact: chain.intact, broken: chain.broken } }) },
              null,
              2,
            ),
          );
        console.log(`${plural(found.accounts, 'account')}, ${plural(found.transfers, 'transfer')}.`);
        if (found.ok) console.log('Every balance is the sum of its entries, and every ledger is balanced.');
        for (const { kind, at, expected, found: what } of found.discrepancies)
          console.log(`${kind} at ${at}: expected ${expected}, found ${what}`);
        if (chain === null) return;
        console.log(
          chain.broken === null
            ? `The audit log is intact: ${count(chain.intact)} sealed.`
            : `The audit log is broken at position ${chain.broken.position}: ${chain.broken.why}`,
        );
      }),
    );
}

/** Shows progress on standard error: as a bar in a terminal, else as a line from time to time. */
function createProgress(): { show(progress: VerificationProgress): void; end(): void } {
  const { isTTY } = process.stderr;
  let shownMs = performance.now();
  return {
    show({ phase, done, total }) {
      const now = performance.now();
      if (now - shownMs < (isTTY ? REDRAW_MS : REPORT_MS)) return;
      shownMs = now;
      const share = total === 0 ? 1 : done / total;
      const text = `${phase.padEnd(9)} ${String(Math.floor(share * 100)).padStart(3)} %  ${count(done)} of ${count(total)}`;
      const filled = Math.round(share * BAR_WIDTH);
      const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`;
      process.stderr.write(isTTY ? `\r${bar} ${text}\u001b[K` : `${text}\n`);
    },
    end() {
      if (isTTY) process.stderr.write('\r\u001b[K');
    },
  };
}
