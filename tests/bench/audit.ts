import { writeFileSync } from 'node:fs';
import { generateKey } from '../../src/utils/sealing.ts';
import { runLoad } from './load/run-load.ts';
import { definePart } from './part.ts';
import type { Rounds } from './plan.ts';
import { type OneCore, startOnOneCore } from './saturation/setup.ts';
import { checkOut } from './support/checkout.ts';
import { freshFolder } from './support/folders.ts';
import { CLIENT_CORE, clientCoreText } from './support/oha.ts';
import { HERE, inTree, type Tree } from './support/processes.ts';
import { progress } from './support/progress.ts';
import { alignedTable, count, decimal, median } from './support/statistics.ts';
import { atMost } from './targets.ts';

const CALLERS = 64;
const ACCOUNTS = 10_000;
const WARM_UP_SECONDS = 0.5;
const FIRST_WARM_UP_SECONDS = 1.5;

/** In place of the port that writes entries. */
const NO_AUDIT = `export async function recordAudit() {}
export const auditFragment = (sql) => sql\`SELECT\`;
`;

const KINDS = { transfer: 'POST /v1/transfers', opening: 'POST /v1/accounts' } as const;
type Kind = keyof typeof KINDS;
const kinds = Object.keys(KINDS) as Kind[];

const VARIANTS = { with: 'with the audit log', without: 'without' } as const;
type Variant = keyof typeof VARIANTS;
const variants = Object.keys(VARIANTS) as Variant[];

interface Measured {
  readonly perSecond: number;
  /** CPU time of a request in Atlas and PostgreSQL, in microseconds. */
  readonly micros: number;
  readonly clientShare: number;
}

/** By round. Empty without git, which makes the tree without the audit log. */
type AuditResult = Readonly<Record<Kind, Readonly<Record<Variant, readonly Measured[]>>>>;

async function measure({ rounds: times, seconds }: Rounds): Promise<AuditResult> {
  const result = {
    transfer: { with: [] as Measured[], without: [] as Measured[] },
    opening: { with: [] as Measured[], without: [] as Measured[] },
  };
  const tree = await checkOut('HEAD');
  if (tree === null) return result;
  writeFileSync(inTree(tree, 'src/adapters/postgres/audit.ts'), NO_AUDIT);
  const servers = { with: await startAtlas(HERE), without: await startAtlas(tree) };
  // Payments come first: the seals of accounts opened before would be counted as theirs.
  for (const kind of kinds) {
    for (const variant of variants) await run(servers[variant], kind, FIRST_WARM_UP_SECONDS);
    for (let round = 0; round < times; round++) {
      for (let i = 0; i < variants.length; i++) {
        const variant = variants[(i + round) % variants.length]!;
        const seen = await run(servers[variant], kind, seconds);
        result[kind][variant].push(seen);
        progress(
          `audit: round ${round + 1}/${times}  ${KINDS[kind]} ${VARIANTS[variant]}: ${decimal(seen.micros, 1)} µs`,
        );
      }
    }
  }
  await requireEntries(servers);
  return result;
}

/** Seals what it writes, as in production. */
async function startAtlas(tree: Tree): Promise<OneCore> {
  return startOnOneCore(tree, { AUDIT_KEY: generateKey(), ATLAS_DATA_DIR: freshFolder() });
}

/** Throws unless one writes and seals entries and the other does not. */
async function requireEntries(servers: Readonly<Record<Variant, OneCore>>): Promise<void> {
  const [written, none] = await Promise.all(
    variants.map(async (variant) => {
      const [row] = await servers[variant].database.sql<[{ sealed: number; written: number }]>`
        SELECT count(position)::int AS sealed, count(*)::int AS written FROM audit_entries`;
      return row;
    }),
  );
  if (written!.sealed === 0 || none!.written > 0)
    throw new Error(
      `The audit log has ${written!.written} entries, ${written!.sealed} of them sealed, and ${none!.written} where there should be none.`,
    );
}

async function run({ database, atlas }: OneCore, kind: Kind, seconds: number): Promise<Measured> {
  const { all, shares } = await runLoad(database, {
    url: atlas.url,
    accounts: ACCOUNTS,
    streams: [{ name: kind, kind, share: 1 }],
    callers: CALLERS,
    ratePerSecond: null,
    warmUpSeconds: WARM_UP_SECONDS,
    seconds,
    processes: { atlas: atlas.pid, postgres: database.pid },
    core: CLIENT_CORE,
  });
  const perSecond = all.good + all.late;
  const micros = ((shares.atlas! + shares.postgres!) / perSecond) * 1e6;
  return { perSecond, micros, clientShare: shares.client! };
}

/** Median of the ratios of each round. NaN if nothing was measured. */
function ratioOf(result: AuditResult, kind: Kind): number {
  const { with: audited, without } = result[kind];
  return median(audited.map(({ micros }, round) => micros / without[round]!.micros));
}

/** What the audit log costs the requests that it records, and payments, which it does not. */
export const audit = definePart({
  title: 'The audit log',
  note: `One worker of atlas serve and all of PostgreSQL on core 0, ${CALLERS} callers on core 1, in turn in each round. CPU time of both, the
sealing of the entries included, which takes place in the background. Without: the committed tree, whose port writes no
entries.`,
  measure: ({ plan }) => measure(plan.audit),
  tables: (result) => [
    alignedTable(
      ['request', '', 'per second', 'CPU µs', 'range', '÷ without', 'client core'],
      kinds.flatMap((kind) => variants.map((variant) => rowOf(result, kind, variant))),
    ),
  ],
  targets: (result) => [
    atMost('payments with the audit log ÷ without, CPU time', ratioOf(result, 'transfer'), 1.05),
  ],
});

function rowOf(result: AuditResult, kind: Kind, variant: Variant): string[] {
  const rounds = result[kind][variant];
  const micros = rounds.map((round) => round.micros);
  return [
    KINDS[kind],
    VARIANTS[variant],
    count(median(rounds.map(({ perSecond }) => perSecond))),
    decimal(median(micros), 1),
    `${decimal(Math.min(...micros), 1)}–${decimal(Math.max(...micros), 1)}`,
    variant === 'with' ? decimal(ratioOf(result, kind)) : '',
    clientCoreText(median(rounds.map(({ clientShare }) => clientShare))),
  ];
}
