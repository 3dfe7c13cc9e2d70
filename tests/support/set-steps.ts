import { expect } from 'bun:test';
import type { ApiCaller } from './api-caller.ts';
import { newKey, openAccount, type TransferResource } from './ledger-steps.ts';
import { type HoldResource, postKeyed } from './movement-steps.ts';

/** An exchange as the API returns it. */
export interface ExchangeResource {
  readonly id: string;
  readonly sourceTransferId: string;
  readonly targetTransferId: string;
  readonly sourceAmount: number;
  readonly targetAmount: number;
  readonly sourceLedger: string;
  readonly targetLedger: string;
  readonly rate: string;
  readonly rounding: string;
  readonly fixedSide: string;
  readonly remainder: string;
  readonly metadata: Record<string, string>;
  readonly createdAt: string;
}

/** The result of a movement as the API returns it. */
export interface SetItem {
  readonly type: string;
  readonly existed: boolean;
  readonly transfer?: TransferResource & {
    readonly holdId: string | null;
    readonly reversesId: string | null;
  };
  readonly hold?: HoldResource;
  readonly holdId?: string;
  readonly exchange?: ExchangeResource;
}

/** Sends movements as a set, by default under a new key. */
export const sendSet = (atlas: ApiCaller, movements: readonly object[], key = newKey()) =>
  postKeyed(atlas, '/v1/sets', { movements }, key);

/** Posts a set, which must succeed. */
export async function postSet(
  atlas: ApiCaller,
  movements: readonly object[],
  key?: string,
): Promise<readonly SetItem[]> {
  const response = await sendSet(atlas, movements, key);
  expect([response.status, response.status === 200 ? '' : await response.text()]).toEqual([200, '']);
  return ((await response.json()) as { results: SetItem[] }).results;
}

/** Returns what was refused: the pointer and code of each error. */
export async function refusalsOf(
  response: Response | Promise<Response>,
): Promise<readonly (readonly [pointer: string, code: string | undefined])[]> {
  const { errors = [] } = (await (await response).json()) as {
    errors?: { pointer: string; code?: string; detail: string }[];
  };
  return errors.map(({ pointer, code, detail }) => [pointer, code ?? detail]);
}

/** Opens the accounts of an exchange from euros to dollars. The one that pays has nothing. */
export async function openExchangeAccounts(atlas: ApiCaller) {
  const [payer, euros, dollars, payee] = [
    await openAccount(atlas, { allowNegative: false }),
    await openAccount(atlas),
    await openAccount(atlas, { ledger: 'USD' }),
    await openAccount(atlas, { ledger: 'USD', allowNegative: false }),
  ];
  return {
    debitAccountId: payer.id,
    sourceLiquidityAccountId: euros.id,
    targetLiquidityAccountId: dollars.id,
    creditAccountId: payee.id,
  };
}
