-- The database keeps `held` itself: what a statement on the holds opens or releases is
-- added to or taken from their wallets. The wallet's check constraint then refuses more
-- than the balance, and below zero.

CREATE FUNCTION ledger_apply_new_holds() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE credit_wallets AS wallet
    SET held = wallet.held + placed.amount
    FROM (
        SELECT wallet_id, sum(amount) AS amount FROM opened
        WHERE released_at IS NULL GROUP BY wallet_id
    ) AS placed
    WHERE wallet.id = placed.wallet_id;
    RETURN NULL;
END $$;

CREATE TRIGGER ledger_apply_new_holds AFTER INSERT ON credit_holds
    REFERENCING NEW TABLE AS opened
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_apply_new_holds();

CREATE FUNCTION ledger_check_hold() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Prevents a hold from being released twice, reopened or altered. When it is due may
    -- move while it is open.
    IF OLD.released_at IS NOT NULL
       OR NEW.id <> OLD.id
       OR NEW.wallet_id <> OLD.wallet_id
       OR NEW.key <> OLD.key
       OR NEW.amount <> OLD.amount
       OR NEW.created_at <> OLD.created_at
    THEN
        RAISE EXCEPTION 'hold % may only be released, once', OLD.key
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'ledger_hold_once';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER ledger_check_hold BEFORE UPDATE ON credit_holds
    FOR EACH ROW EXECUTE FUNCTION ledger_check_hold();

CREATE FUNCTION ledger_apply_released_holds() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE credit_wallets AS wallet
    SET held = wallet.held - released.amount
    FROM (
        SELECT became.wallet_id, sum(became.amount) AS amount
        FROM became JOIN was ON was.id = became.id
        WHERE was.released_at IS NULL AND became.released_at IS NOT NULL
        GROUP BY became.wallet_id
    ) AS released
    WHERE wallet.id = released.wallet_id;
    RETURN NULL;
END $$;

CREATE TRIGGER ledger_apply_released_holds AFTER UPDATE ON credit_holds
    REFERENCING OLD TABLE AS was NEW TABLE AS became
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_apply_released_holds();
