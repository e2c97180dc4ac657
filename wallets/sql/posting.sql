-- A posting is one statement: it updates the wallets and inserts the transfers with all
-- of their transactions. These guards look at the statement as a whole once it has run.
-- Nothing is put off to the commit, so SET CONSTRAINTS changes nothing, and a thousand
-- transfers in one statement cost one call.

CREATE FUNCTION ledger_check_transactions() RETURNS trigger
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
    LEFT JOIN credit_wallets AS wallet ON wallet.id = posted.wallet_id
    LEFT JOIN credit_transactions AS previous
      ON previous.wallet_id = posted.wallet_id
     AND previous.sequence = posted.sequence - 1
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

CREATE TRIGGER ledger_check_transactions AFTER INSERT ON credit_transactions
    REFERENCING NEW TABLE AS posted
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_check_transactions();

CREATE FUNCTION ledger_check_transfers() RETURNS trigger
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

CREATE TRIGGER ledger_check_transfers AFTER INSERT ON credit_transfers
    REFERENCING NEW TABLE AS opened
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_check_transfers();

CREATE FUNCTION ledger_check_wallets() RETURNS trigger
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
    LEFT JOIN became AS later ON later.id = earlier.id
    LEFT JOIN credit_transactions AS last
      ON last.wallet_id = later.id AND last.sequence = later.sequence
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

CREATE TRIGGER ledger_check_wallets AFTER UPDATE ON credit_wallets
    REFERENCING OLD TABLE AS was NEW TABLE AS became
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_check_wallets();

CREATE FUNCTION ledger_check_new_wallet() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Prevents a wallet that begins with credits.
    IF NEW.balance <> 0 OR NEW.held <> 0 OR NEW.sequence <> 0 THEN
        RAISE EXCEPTION 'a new wallet is empty'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_new_wallet_empty';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER ledger_check_new_wallet BEFORE INSERT ON credit_wallets
    FOR EACH ROW EXECUTE FUNCTION ledger_check_new_wallet();
