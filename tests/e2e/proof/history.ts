import type { ApiCaller } from '../../support/api-caller.ts';
import type { TransferResource } from '../../support/ledger-steps.ts';
import type { Sabotaged } from './sabotage.ts';

/** What a client of a history does. Accounts are numbers: their place in the list that the first line has. */
export type HistoryCall =
  | { readonly f: 'transfer'; readonly debit: number; readonly credit: number; readonly amount: number }
  | { readonly f: 'hold'; readonly debit: number; readonly credit: number; readonly amount: number }
  | { readonly f: 'post'; readonly hold: string; readonly amount: number; readonly keepRest: boolean }
  | { readonly f: 'void'; readonly hold: string }
  | { readonly f: 'read'; readonly account: number };

/** What a read returned. */
export interface ReadValue {
  readonly version: number;
  readonly debitsPosted: number;
  readonly creditsPosted: number;
  readonly debitsPending: number;
  readonly creditsPending: number;
}

/**
 * One line of a history. `invoke` begins a call of a process, and the next line of the process ends it: `ok` took
 * effect, `fail` did not, and `info` may have, or may still. After `info` a process is never used again.
 */
export interface HistoryLine {
  readonly process: number;
  readonly type: 'invoke' | 'ok' | 'fail' | 'info';
  /** Of the call: equal in both of its lines. It is the `reference` of the transfer. */
  readonly op: string;
  /** Nanoseconds of one monotonic clock. */
  readonly timeNs: number;
  readonly call: HistoryCall;
  /** Of `ok`: the new transfer or hold, or what was read. Of `fail`: the code of the problem. */
  readonly value?: { readonly id: string } | ReadValue | string;
}

export interface HistoryOptions {
  readonly seconds: number;
  readonly clients: number;
  readonly accounts: number;
  /** Where the lines are written to. */
  readonly file: string;
  /** Whether parts of Atlas and PostgreSQL are killed meanwhile. */
  readonly kills: boolean;
}

/** A transfer whose `reference` names its call. */
export interface HistoryTransfer extends TransferResource {
  readonly reference: string | null;
}

/** A history, and the transfers of each account in the order of their versions, read after the end. */
export interface RecordedHistory {
  readonly accountIds: readonly string[];
  readonly lines: readonly HistoryLine[];
  readonly transfersOf: readonly (readonly HistoryTransfer[])[];
}

const AMOUNT_MAX = 20;
const RESPONSE_MS_MAX = 10_000;
const UNSENT_PAUSE_MS = 100;
const PAGE = 200;

/** Lets clients call Atlas at random while parts of it are killed, and then reads the order in which all took effect. */
export async function recordHistory(
  atlas: Sabotaged,
  { seconds, clients, accounts, file, kills }: HistoryOptions,
): Promise<RecordedHistory> {
  const accountIds = await Promise.all(Array.from({ length: accounts }, (_, i) => openAccount(atlas, i)));
  const recorder = new Recorder(atlas, accountIds);
  const sabotage = kills ? atlas.sabotage() : null;
  const endMs = performance.now() + 1000 * seconds;
  await Promise.all(Array.from({ length: clients }, () => recorder.run(endMs)));
  await sabotage?.stop();
  const { lines } = recorder;
  const head = { format: 'atlas-history-1', accounts: accountIds };
  await Bun.write(file, [head, ...lines].map((line) => `${JSON.stringify(line)}\n`).join(''));
  return {
    accountIds,
    lines,
    transfersOf: await Promise.all(accountIds.map((id) => readTransfers(atlas, id))),
  };
}

class Recorder {
  readonly lines: HistoryLine[] = [];
  readonly #atlas: ApiCaller;
  readonly #accountIds: readonly string[];
  readonly #holds: string[] = [];
  #processes = 0;
  #calls = 0;

  constructor(atlas: ApiCaller, accountIds: readonly string[]) {
    this.#atlas = atlas;
    this.#accountIds = accountIds;
  }

  async run(endMs: number): Promise<void> {
    let process = this.#processes++;
    while (performance.now() < endMs) {
      const call = this.#draw();
      const op = `op-${this.#calls++}`;
      const begin = { process, op, call };
      this.#add({ ...begin, type: 'invoke' });
      const { type, value } = await this.#send(op, call);
      this.#add({ ...begin, type, ...(value !== undefined && { value }) });
      if (type !== 'info') continue;
      process = this.#processes++;
      await Bun.sleep(UNSENT_PAUSE_MS);
    }
  }

  #add(line: Omit<HistoryLine, 'timeNs'>): void {
    this.lines.push({ ...line, timeNs: Bun.nanoseconds() });
  }

  #draw(): HistoryCall {
    const chance = Math.random();
    const debit = numberBelow(this.#accountIds.length);
    const credit = (debit + 1 + numberBelow(this.#accountIds.length - 1)) % this.#accountIds.length;
    const amount = 1 + numberBelow(AMOUNT_MAX);
    if (chance < 0.3) return { f: 'transfer', debit, credit, amount };
    if (chance < 0.45) return { f: 'hold', debit, credit, amount };
    const hold = this.#holds[numberBelow(this.#holds.length)];
    if (hold === undefined || chance > 0.65) return { f: 'read', account: debit };
    if (chance < 0.6) return { f: 'post', hold, amount, keepRest: chance < 0.5 };
    return { f: 'void', hold };
  }

  async #send(op: string, call: HistoryCall): Promise<Pick<HistoryLine, 'type' | 'value'>> {
    const signal = AbortSignal.timeout(RESPONSE_MS_MAX);
    try {
      const { method, path, json } = this.#requestOf(op, call);
      const headers: Record<string, string> =
        method === 'GET' ? {} : { 'Idempotency-Key': `${this.#accountIds[0]}-${op}` };
      const response = await Promise.race([
        this.#atlas.call(method, path, { json, headers }),
        rejectAt(signal),
      ]);
      const body = (await Promise.race([response.json(), rejectAt(signal)])) as Record<string, unknown>;
      const { status } = response;
      // Nothing was begun, or nobody knows.
      if (status >= 500) return { type: 'info' };
      if (status >= 300) return { type: 'fail', value: String(body.type).split('/').at(-1) ?? '' };
      if (call.f === 'read') return { type: 'ok', value: readValueOf(body as unknown as ReadValue) };
      const id = String(body.id);
      if (call.f === 'hold') this.#holds.push(id);
      return { type: 'ok', value: { id } };
    } catch {
      return { type: 'info' };
    }
  }

  #requestOf(op: string, call: HistoryCall): { method: string; path: string; json?: object } {
    if (call.f === 'read') return { method: 'GET', path: `/v1/accounts/${this.#accountIds[call.account]}` };
    if (call.f === 'void') return { method: 'POST', path: `/v1/holds/${call.hold}/void` };
    if (call.f === 'post') {
      const { hold, amount, keepRest } = call;
      return { method: 'POST', path: `/v1/holds/${hold}/post`, json: { amount, keepRest, reference: op } };
    }
    const [debitAccountId, creditAccountId] = [this.#accountIds[call.debit], this.#accountIds[call.credit]];
    const json = { debitAccountId, creditAccountId, amount: call.amount, reference: op };
    return { method: 'POST', path: call.f === 'hold' ? '/v1/holds' : '/v1/transfers', json };
  }
}

const numberBelow = (count: number) => Math.floor(Math.random() * count);

function rejectAt(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
  );
}

function readValueOf({
  version,
  debitsPosted,
  creditsPosted,
  debitsPending,
  creditsPending,
}: ReadValue): ReadValue {
  return { version, debitsPosted, creditsPosted, debitsPending, creditsPending };
}

/** Every other account must not go below zero, so that some calls are refused. */
async function openAccount(atlas: ApiCaller, index: number): Promise<string> {
  const json = { ledger: 'EUR', allowNegative: index % 2 === 0 };
  const response = await atlas.call('POST', '/v1/accounts', { json });
  if (response.status !== 201) throw new Error(`an account was not opened: ${await response.text()}`);
  return ((await response.json()) as { id: string }).id;
}

async function readTransfers(atlas: ApiCaller, accountId: string): Promise<HistoryTransfer[]> {
  const transfers: HistoryTransfer[] = [];
  let cursor: string | null = null;
  do {
    const query: string = cursor === null ? '' : `&cursor=${cursor}`;
    const response = await atlas.call('GET', `/v1/accounts/${accountId}/transfers?limit=${PAGE}${query}`);
    if (!response.ok) throw new Error(`transfers were not read: ${await response.text()}`);
    const page = (await response.json()) as { transfers: HistoryTransfer[]; nextCursor: string | null };
    transfers.push(...page.transfers);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return transfers.reverse();
}
