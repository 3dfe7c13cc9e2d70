-- number: 1
-- migration: 24
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Returns what the audit log says about a limit across accounts.
CREATE OR REPLACE FUNCTION described_limit(p_limit limits) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_build_object('name', p_limit.name, 'ledger', p_limit.ledger, 'scope', p_limit.scope, 'counts', p_limit.counts,
    'countsInternal', p_limit.counts_internal, 'setBy', p_limit.set_by, 'accounts', coalesce(p_limit.account_count, 0),
    'maxima', jsonb_strip_nulls(jsonb_build_object('transferAmount', p_limit.transfer_amount_max, 'hourAmount', p_limit.hour_amount_max,
      'hourCount', p_limit.hour_count_max, 'dayAmount', p_limit.day_amount_max, 'dayCount', p_limit.day_count_max,
      'totalAmount', p_limit.total_amount_max)))
$$;
