import { type Command, InvalidArgumentError } from 'commander';
import type { Head } from '../features/audit/sealing/chain.ts';
import type { AuditSealing } from '../features/audit/sealing/service.ts';
import type { WithService } from './session.ts';

export function addAuditCommand(program: Command, withSealing: WithService<AuditSealing>): void {
  program
    .command('audit')
    .description('verify the audit log')
    .command('verify')
    .description(
      'verify that no sealed audit entry was changed, deleted, moved, or inserted; exits with 1 if one was',
    )
    .option(
      '--head <position:seal>',
      'a head from a log (default: the one that this host has seen last)',
      parseHead,
    )
    .action(({ head }: { head?: Head }) => withSealing((sealing) => verify(sealing, head)));
}

async function verify(sealing: AuditSealing, expected: Head | undefined): Promise<void> {
  const { intact, broken, head, unsealed } = await sealing.verify(expected);
  if (broken !== null)
    throw new Error(
      `The audit log is broken at position ${broken.position}. Intact before it: ${intact}.\n  why:  ${broken.why}\n  do:   compare it with a backup; see docs/api/audit.md`,
    );
  console.log(`The audit log is intact: ${intact} sealed, ${unsealed} not sealed yet.`);
  if (head !== null) console.log(`head: ${head.position}:${head.seal}`);
  if (expected === undefined && sealing.store.head() === null)
    process.stderr.write(
      'This host has seen no head, so entries deleted at the end are not found. Pass one from the log: --head\n',
    );
}

function parseHead(text: string): Head {
  const [, position, seal] = /^(\d{1,15}):([\w-]{43})$/.exec(text) ?? [];
  if (position === undefined) throw new InvalidArgumentError('It must be POSITION:SEAL, as logged.');
  return { position: Number(position), seal: seal! };
}
