DROP TABLE account_exchanges, exchanges;
DROP FUNCTION is_rounded(numeric, numeric, bigint, text);
