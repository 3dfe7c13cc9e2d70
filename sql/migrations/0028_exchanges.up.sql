-- Exchanges between two ledgers. New tables only, so nothing waits for this.

-- Whether an amount was rounded as agreed: `lost` is what the exact amount has more than the rounded one, in units of which
-- `unit` are one of the rounded amount. Here and not in sql/functions, because a constraint needs it.
CREATE FUNCTION is_rounded(lost numeric, unit numeric, rounded bigint, rounding text) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT CASE rounding
    WHEN 'down' THEN lost >= 0 AND lost < unit
    WHEN 'up' THEN lost <= 0 AND lost > -unit
    WHEN 'half_up' THEN 2 * lost >= -unit AND 2 * lost < unit
    WHEN 'half_even' THEN abs(2 * lost) < unit OR (abs(2 * lost) = unit AND rounded % 2 = 0)
    ELSE false END
$$;

-- What an exchange was agreed on, beside the two transfers that moved it. Immutable like them.
CREATE TABLE exchanges (
  -- The key of its event, in the range of reserved ids.
  id                 uuid PRIMARY KEY CHECK (id::text ~ '^.{14}8a71-a50e'),
  source_transfer_id uuid NOT NULL UNIQUE,
  target_transfer_id uuid NOT NULL UNIQUE CHECK (target_transfer_id <> source_transfer_id),
  debit_account_id            uuid NOT NULL,
  source_liquidity_account_id uuid NOT NULL,
  target_liquidity_account_id uuid NOT NULL,
  credit_account_id           uuid NOT NULL,
  source_ledger text NOT NULL,
  target_ledger text NOT NULL CHECK (target_ledger <> source_ledger),
  source_amount bigint NOT NULL CHECK (source_amount BETWEEN 1 AND 9007199254740991),
  target_amount bigint NOT NULL CHECK (target_amount BETWEEN 1 AND 9007199254740991),
  -- Minor units of the target for a minor unit of the source.
  rate       numeric NOT NULL CHECK (rate > 0 AND rate < 1000000000 AND scale(rate) <= 12),
  rounding   text NOT NULL CHECK (rounding IN ('half_even', 'half_up', 'down', 'up')),
  -- The amount that was given. The other one was rounded.
  fixed_side text NOT NULL CHECK (fixed_side IN ('source', 'target')),
  -- What rounding left.
  remainder  numeric NOT NULL GENERATED ALWAYS AS (source_amount * rate - target_amount) STORED,
  created_at timestamptz NOT NULL,
  -- Products of numerics are exact, and quotients are not: so a source that was rounded is compared in units of the target.
  CONSTRAINT amounts_agree CHECK (CASE fixed_side
    WHEN 'source' THEN is_rounded(source_amount * rate - target_amount, 1, target_amount, rounding)
    ELSE is_rounded(target_amount - source_amount * rate, rate, source_amount, rounding) END)
);
CREATE TRIGGER exchanges_immutable BEFORE UPDATE OR DELETE ON exchanges
  FOR EACH ROW EXECUTE PROCEDURE refuse_change();

-- The exchanges of an account, by age: of those that belonged to the organization that exchanged.
CREATE TABLE account_exchanges (
  account_id  uuid NOT NULL,
  created_at  timestamptz NOT NULL,
  exchange_id uuid NOT NULL,
  PRIMARY KEY (account_id, created_at, exchange_id)
);
CREATE TRIGGER account_exchanges_immutable BEFORE UPDATE OR DELETE ON account_exchanges
  FOR EACH ROW EXECUTE PROCEDURE refuse_change();
