-- The rows of a posting on their way in, as `wallets/statements.py` hands them over: an
-- array of records for each table. They are no guard, and say nothing of what is kept.

CREATE TYPE ledger_new_balance AS (id uuid, balance numeric, sequence bigint);

CREATE TYPE ledger_new_transfer AS (
    id uuid,
    key text,
    description text,
    actor_id integer,
    reverses_id uuid,
    metadata jsonb
);

CREATE TYPE ledger_new_transaction AS (
    transfer_id uuid,
    wallet_id uuid,
    sequence bigint,
    transaction_type text,
    amount numeric,
    balance_before numeric,
    balance_after numeric
);

-- Every transfer changes two wallets and none of their indexed columns: with room left
-- on the page the new version of a row stays beside the old one, and no index grows.
ALTER TABLE credit_wallets SET (fillfactor = 60);
