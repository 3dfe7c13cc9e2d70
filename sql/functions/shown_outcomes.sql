-- number: 1
-- migration: 24
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Returns outcomes as the calling host knows them: those of the release before know no limits across accounts, and get the
-- code that is closest. Newer ones set `atlas.names_limits` for their transaction.
CREATE OR REPLACE FUNCTION shown_outcomes(p_outcome text[]) RETURNS text[] LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN current_setting('atlas.names_limits', true) = 'on' THEN p_outcome
    ELSE ARRAY(SELECT CASE WHEN o LIKE 'limit_exceeded %' THEN 'balance_limit_exceeded' ELSE o END
                 FROM unnest(p_outcome) WITH ORDINALITY u(o, no) ORDER BY no) END
$$;
