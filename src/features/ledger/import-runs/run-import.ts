import { type ClaimedImport, noLines, REFUSED_MAX, type RefusedLine } from '../import.ts';
import { Fault } from './fault.ts';
import { type Applied, type LineTargets, LineWriter, type ValidLine } from './line-writer.ts';
import { type LineBlock, readLines } from './read-lines.ts';
import type { ImportSource } from './records.ts';
import type { Claims } from './repository.ts';

/** What a turn of an import needs. */
export interface RunOptions {
  readonly claims: Claims;
  readonly targets: LineTargets;
  readonly source: ImportSource;
  /** Whether to stop after the current block, because the turn or this process ends. */
  readonly isOver: () => boolean;
  /** Called after each block. */
  readonly onApplied: (applied: Applied, at: Progress) => void;
}

/** How far an import is. */
export interface Progress {
  readonly state: 'validating' | 'posting';
  readonly position: number;
  readonly sizeBytes: number;
}

/** `paused`: the turn is over. `suspended`: so is the organization. `lost`: another process has it. */
export type TurnEnd = 'finished' | 'paused' | 'suspended' | 'lost';

// A position is stored after this many blocks: validating them again costs nothing but time.
const BLOCKS_PER_STEP = 20;
// Batches of other processes are being posted if this one had to wait for longer. Reading a large one takes less.
const BUSY_MS = 5;
const PAUSE_MS_MAX = 250;

/** Works on an import until it is finished or its turn is over. Throws if that is not the fault of a line. */
export async function runImport(claim: ClaimedImport, options: RunOptions): Promise<TurnEnd> {
  const { claims } = options;
  if (claim.cancels) return finish(claims, claim, 'canceled', null);
  if (claim.state === 'validating') {
    const end = await validate(claim, options);
    if (end !== 'valid') return end;
    if (claim.dryRun) return finish(claims, claim, 'done', null);
    if (!(await claims.startPosting(claim))) return 'lost';
    return post({ ...claim, state: 'posting', position: 0, nextLine: 1 }, options);
  }
  return post(claim, options);
}

async function finish(claims: Claims, claim: ClaimedImport, ...[state, failure]: Final): Promise<TurnEnd> {
  return (await claims.finish(claim, state, failure)) ? 'finished' : 'lost';
}

/** Reads the rest of the file without any effect. */
async function validate(claim: ClaimedImport, options: RunOptions): Promise<TurnEnd | 'valid'> {
  const { claims, source, isOver, onApplied } = options;
  const check = new FileCheck(claim);
  let refusedBefore = claim.refused;
  let place = { position: claim.position, line: claim.nextLine };
  let step = noLines();
  let found: RefusedLine[] = [];
  const store = async () => {
    const { expectsEnd, hasEnd } = check;
    const counts = { ...step, refused: found.length };
    const progress = { ...place, counts, refused: found, expectsEnd, hasEnd };
    const stored = await claims.advance(claim, progress);
    onApplied(
      { counts, refused: found },
      { state: 'validating', position: place.position, sizeBytes: source.sizeBytes },
    );
    refusedBefore += found.length;
    step = noLines();
    found = [];
    return stored;
  };
  let blocks = 0;
  for await (const block of linesOf(claim, source)) {
    for (const { line, value } of block.lines) {
      const refused = value instanceof Fault ? value : check.add(value, line);
      if (refused !== null && refusedBefore + found.length < REFUSED_MAX)
        found.push({ line, member: refused.member, code: 'line_invalid', detail: refused.detail });
    }
    step.lines += block.lines.length;
    place = block.next;
    const isFull = refusedBefore + found.length >= REFUSED_MAX;
    if (++blocks % BLOCKS_PER_STEP !== 0 && !isOver() && !isFull) continue;
    const stored = await store();
    if (stored === 'lost') return 'lost';
    if (stored === 'canceled') return finish(claims, claim, 'canceled', null);
    if (stored === 'suspended') return 'suspended';
    if (isFull) break;
    if (isOver()) return 'paused';
  }
  const missing = check.end();
  if (missing !== null && refusedBefore + found.length < REFUSED_MAX)
    found.push({ line: place.line, member: null, code: 'line_invalid', detail: missing });
  const stored = await store();
  if (stored === 'lost') return 'lost';
  if (stored === 'canceled') return finish(claims, claim, 'canceled', null);
  if (stored === 'suspended') return 'suspended';
  return refusedBefore > 0 ? finish(claims, claim, 'failed', 'invalid_lines') : 'valid';
}

/**
 * Posts the rest of the file. While a block is in the database, the next one is read and prepared, and the progress of
 * the one before is stored.
 */
async function post(claim: ClaimedImport, options: RunOptions): Promise<TurnEnd> {
  const { claims, targets, source, isOver, onApplied } = options;
  const { expectsEnd, hasEnd } = claim;
  const writer = await LineWriter.open(targets, claim);
  const blocks = linesOf(claim, source);
  const readNext = async () => {
    const { done, value: block } = await blocks.next();
    return done ? null : { next: block.next, runs: writer.prepare(validLines(block)) };
  };
  let { refused } = claim;
  let reading = readNext();
  let storing: Promise<Stored> = Promise.resolve('ok');
  for (;;) {
    const block = await reading;
    if (block === null) return endOf(claims, claim, await storing, ['done', null]);
    reading = readNext();
    // If this ends before, a rejection has no other handler.
    reading.catch(() => {});
    storing.catch(() => {});
    const startMs = performance.now();
    const applied = await writer.write(block.runs);
    const tookMs = performance.now() - startMs;
    const before = await storing;
    // The worker that has it now posts this block again under the same key.
    if (before === 'lost') return 'lost';
    storing = claims.advance(claim, { ...block.next, ...applied, expectsEnd, hasEnd });
    onApplied(applied, { state: 'posting', position: block.next.position, sizeBytes: source.sizeBytes });
    refused += applied.counts.refused;
    if (refused >= REFUSED_MAX) return endOf(claims, claim, await storing, ['failed', 'too_many_refused']);
    if (before !== 'ok') return endOf(claims, claim, await storing, null);
    if (isOver() && block.next.position < source.sizeBytes) return endOf(claims, claim, await storing, null);
    // The queue of this process lets others go first; those of other processes meet in the database.
    if (targets.posting.waitedMs() > BUSY_MS) await Bun.sleep(Math.min(PAUSE_MS_MAX, tookMs));
  }
}

type Stored = Awaited<ReturnType<Claims['advance']>>;
type Final = readonly [Parameters<Claims['finish']>[1], Parameters<Claims['finish']>[2]];

/** Ends a turn after its last progress was stored: finally, or until the next turn. */
async function endOf(
  claims: Claims,
  claim: ClaimedImport,
  stored: Stored,
  final: Final | null,
): Promise<TurnEnd> {
  if (stored === 'lost') return 'lost';
  if (stored === 'canceled') return finish(claims, claim, 'canceled', null);
  if (final !== null) return finish(claims, claim, ...final);
  return stored === 'suspended' ? 'suspended' : 'paused';
}

function linesOf(claim: ClaimedImport, source: ImportSource) {
  const from = { position: claim.position, line: claim.nextLine };
  return readLines(source, claim.format, from, claim);
}

/** The file was validated, and never changes. */
function validLines({ lines }: LineBlock): ValidLine[] {
  return lines.map(({ line, value }) => {
    if (value instanceof Fault) throw new Error(`Line ${line} was valid before: ${value.detail}`);
    return { line, value };
  });
}

/** What is checked beyond single lines: that an export is complete. */
class FileCheck {
  expectsEnd: boolean;
  hasEnd: boolean;
  #lines: number;

  constructor({ expectsEnd, hasEnd, lines }: ClaimedImport) {
    this.expectsEnd = expectsEnd;
    this.hasEnd = hasEnd;
    this.#lines = lines;
  }

  /** Returns why a line cannot be where it is. */
  add({ type, ...line }: ValidLine['value'], at: number): Fault | null {
    const before = this.#lines++;
    if (this.hasEnd) return new Fault('type', 'nothing may follow the line `end`');
    if (type === 'export') {
      if (before > 0 || at < 1) return new Fault('type', 'must be the first line');
      this.expectsEnd = true;
    }
    if (type !== 'end') return null;
    this.hasEnd = true;
    const { lines } = line as { readonly lines: number };
    return lines === before ? null : new Fault('lines', `is ${lines}, but ${before} lines come before it`);
  }

  /** Returns what is missing at the end of the file. */
  end(): string | null {
    return this.expectsEnd && !this.hasEnd
      ? 'The file is an export without its last line, so a part of it is missing.'
      : null;
  }
}
