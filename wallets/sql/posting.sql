-- A posting is one statement: it updates the wallets and inserts the transfers with all
-- of their transactions. These guards look at the statement as a whole once it has run.
-- Nothing is put off to the commit, so SET CONSTRAINTS changes nothing, and a thousand
-- transfers in one statement cost one call.
--
-- A session keeps the plan it made for the first statement, be it of two rows or of
-- twenty thousand. OFFSET 0 has each plan go to the tables row by row, by their keys:
-- neither is a whole table read for one transfer, nor every row of the statement
-- compared with every other.

CREATE OR REPLACE FUNCTION ledger_check_transactions() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    wrong record;
BEGIN
    -- Prevents credits out of nothing, and rows added to a transfer later: the rows of a
    -- transfer come in one statement, two or more, and add up to zero.
    SELECT legs.transfer_id INTO wrong
    FROM (
        SELECT transfer_id, count(*) AS legs, sum(amount) AS total
        FROM posted GROUP BY transfer_id
    ) AS legs
    WHERE legs.total <> 0 OR legs.legs < 2
       OR legs.legs <> (
           SELECT count(*) FROM credit_transactions AS booked
           WHERE booked.transfer_id = legs.transfer_id
       )
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'transfer % is not two or more rows of one statement that add up to zero',
            wrong.transfer_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_transfer_balanced';
    END IF;

    -- Prevents a break in a wallet's chain: each row starts where the one before ended,
    -- and not earlier than it. Prevents a row without its effect on the balance. And
    -- prevents a payment out of a frozen wallet.
    SELECT posted.wallet_id, posted.sequence,
        CASE
            WHEN wallet.id IS NULL OR wallet.sequence < posted.sequence
              OR wallet.sequence = posted.sequence
             AND wallet.balance <> posted.balance_after THEN 'ledger_wallet_follows'
            WHEN wallet.frozen_at IS NOT NULL AND posted.amount < 0
                THEN 'ledger_frozen_pays_nothing'
            ELSE 'ledger_chain'
        END AS guard
    INTO wrong
    FROM posted
    LEFT JOIN LATERAL (
        SELECT id, balance, sequence, frozen_at FROM credit_wallets
        WHERE id = posted.wallet_id OFFSET 0
    ) AS wallet ON true
    LEFT JOIN LATERAL (
        SELECT id, balance_after, created_at FROM credit_transactions
        WHERE wallet_id = posted.wallet_id AND sequence = posted.sequence - 1 OFFSET 0
    ) AS previous ON true
    WHERE wallet.id IS NULL
       OR wallet.sequence < posted.sequence
       OR wallet.sequence = posted.sequence AND wallet.balance <> posted.balance_after
       OR wallet.frozen_at IS NOT NULL AND posted.amount < 0
       OR CASE WHEN posted.sequence = 1
          THEN posted.balance_before <> 0
          ELSE previous.id IS NULL
            OR previous.balance_after <> posted.balance_before
            OR previous.created_at > posted.created_at
          END
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'transaction % of wallet % does not fit its wallet (%)',
            wrong.sequence, wrong.wallet_id, wrong.guard
            USING ERRCODE = 'check_violation', CONSTRAINT = wrong.guard;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION ledger_check_transfers() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    wrong record;
BEGIN
    -- Prevents a transfer without rows, to which some could be added another time.
    SELECT opened.id INTO wrong FROM opened
    WHERE NOT EXISTS (
        SELECT FROM credit_transactions AS booked WHERE booked.transfer_id = opened.id
    )
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'transfer % comes without its transactions', wrong.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_transfer_balanced';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION ledger_check_wallets() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    wrong record;
BEGIN
    -- Prevents a wallet from changing hands. Prevents a balance that no transaction
    -- explains. And prevents held credits that no hold explains: only the trigger on the
    -- holds itself may change the column, and a trigger's own update has a depth of two.
    SELECT earlier.id,
        CASE
            WHEN later.id IS NULL
              OR later.user_id IS DISTINCT FROM earlier.user_id
              OR later.code IS DISTINCT FROM earlier.code
              OR later.created_at <> earlier.created_at THEN 'ledger_wallet_identity'
            WHEN later.held <> earlier.held AND pg_trigger_depth() < 2
                THEN 'ledger_held_follows'
            ELSE 'ledger_wallet_follows'
        END AS guard
    INTO wrong
    FROM was AS earlier
    LEFT JOIN LATERAL (
        SELECT * FROM credit_wallets WHERE id = earlier.id OFFSET 0
    ) AS later ON true
    LEFT JOIN LATERAL (
        SELECT id, balance_after FROM credit_transactions
        WHERE wallet_id = later.id AND sequence = later.sequence OFFSET 0
    ) AS last ON true
    WHERE later.id IS NULL
       OR later.user_id IS DISTINCT FROM earlier.user_id
       OR later.code IS DISTINCT FROM earlier.code
       OR later.created_at <> earlier.created_at
       OR later.held <> earlier.held AND pg_trigger_depth() < 2
       OR (later.balance <> earlier.balance OR later.sequence <> earlier.sequence)
      AND (
          later.sequence <= earlier.sequence
          OR last.id IS NULL
          OR last.balance_after <> later.balance
      )
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'wallet % may not change so (%)', wrong.id, wrong.guard
            USING ERRCODE = 'check_violation', CONSTRAINT = wrong.guard;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION ledger_check_new_wallet() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Prevents a wallet that begins with credits.
    IF NEW.balance <> 0 OR NEW.held <> 0 OR NEW.sequence <> 0 THEN
        RAISE EXCEPTION 'a new wallet is empty'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_new_wallet_empty';
    END IF;
    RETURN NEW;
END $$;
