import { DEMO } from '../../../utils/demo-data.ts';
import { commandActor } from '../../actor.ts';
import type { LimitRepository } from './repository.ts';

/** Far more than anybody pays to try Atlas. */
const AMOUNT_MINOR = 1_000_000_000_000;

/** Creates the demo limits of a demo account. Repeating it changes nothing, even if some were deleted. */
export async function createDemoLimits(limits: LimitRepository): Promise<void> {
  for (const [id, name, isOperator] of [
    [DEMO.limit, 'Daily payouts', false],
    [DEMO.spareLimit, 'Hourly payouts', false],
    [DEMO.operatorLimit, 'Payouts, set by an operator', true],
  ] as const) {
    if (await limits.exists(id)) continue;
    const content = {
      name,
      ledger: 'EUR',
      counts: 'debits',
      countsInternal: false,
      maxima: { dayAmount: AMOUNT_MINOR },
      accountIds: [DEMO.bank],
    } as const;
    const refusal = await limits.create(id, { owner: DEMO.owner, isOperator }, content, commandActor(), {});
    if (refusal !== null) throw new Error(`The demo limit ${name} was not created: ${refusal.outcome}.`);
  }
}
