-- number: 1
-- migration: 26
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Returns the balance of an account by the time of effect: over those of its first `p_version` entries that took effect when
-- they were recorded, and over those of its first `p_last` entries with a time of effect of their own up to `p_ms`
-- (milliseconds since 1970), of that millisecond only up to version `p_ms_version`.
CREATE OR REPLACE FUNCTION effective_balance(p_account uuid, p_version bigint, p_ms bigint, p_ms_version bigint, p_last bigint)
RETURNS bigint LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  moment timestamptz := 'epoch'::timestamptz + p_ms * interval '1 millisecond';
BEGIN
  RETURN entry_balance(p_account, p_version)
    - coalesce((SELECT net_so_far FROM effective_entries WHERE account_id = p_account AND version <= p_version ORDER BY version DESC LIMIT 1), 0)
    + (SELECT coalesce(sum(s.net), 0) FROM (VALUES
         (36, '-9223372036854775808'::bigint, p_ms >> 36), (27, (p_ms >> 36) << 9, p_ms >> 27), (18, (p_ms >> 27) << 9, p_ms >> 18),
         (9, (p_ms >> 18) << 9, p_ms >> 9), (0, (p_ms >> 9) << 9, p_ms)) l(level, first, before)
       JOIN effective_sums s ON s.account_id = p_account AND s.level = l.level AND s.bucket >= l.first AND s.bucket < l.before)
    + (SELECT coalesce(sum(net), 0) FROM effective_entries
        WHERE account_id = p_account AND effective_at = moment AND version <= p_ms_version AND version <= p_last)
    -- What was recorded after the last of the entries is in the sums too, but for the millisecond itself.
    - (SELECT coalesce(sum(net), 0) FROM effective_entries WHERE account_id = p_account AND version > p_last AND effective_at < moment);
END $$;
