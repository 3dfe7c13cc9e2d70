import { integer, meta } from '../../utils/setting-types.ts';

/** What the ledger allows. */
export const ledgerSettings = {
  // A month is usually closed within the next one: late postings still go into it, and what is older stays as reported.
  LEDGER_BACKDATE_DAYS: integer(0, 36_500)
    .default(31)
    .meta(
      meta(
        'Ledger',
        'How many days ago a transfer may take effect (`effectiveAt`). 0 allows no time of effect but that of the posting.',
      ),
    ),
};
