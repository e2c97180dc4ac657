-- Credits by hand a second time: no bug, shell or SQL client books more than what was asked
-- for, rewrites who asked or agreed, or has an adjustment booked whose transfer is another.

CREATE FUNCTION wallets_check_adjustment() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    -- Prevents an adjustment that is born booked, which nobody could have agreed to.
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'requested' OR NEW.decided_by_id IS NOT NULL THEN
            RAISE EXCEPTION 'adjustment % begins as requested', NEW.id
                USING ERRCODE = 'restrict_violation',
                    CONSTRAINT = 'wallets_adjustment_begins';
        END IF;
        RETURN NULL;
    END IF;
    -- Prevents what was agreed to from being exchanged, and what has ended from changing.
    IF OLD.status <> 'requested'
       OR (NEW.id, NEW.user_id, NEW.transaction_type, NEW.amount, NEW.reason,
           NEW.needs_second, NEW.requested_by_id, NEW.requested_at)
          IS DISTINCT FROM
          (OLD.id, OLD.user_id, OLD.transaction_type, OLD.amount, OLD.reason,
           OLD.needs_second, OLD.requested_by_id, OLD.requested_at)
    THEN
        RAISE EXCEPTION 'adjustment % is decided once, as it was asked for', OLD.id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'wallets_adjustment_fixed';
    END IF;
    IF NEW.status = 'booked' AND NOT EXISTS (
        SELECT FROM credit_transactions AS leg
        JOIN credit_transfers AS transfer ON transfer.id = leg.transfer_id
        JOIN credit_wallets AS wallet ON wallet.id = leg.wallet_id
        WHERE transfer.id = NEW.transfer_id
          AND transfer.key = 'adjustment:' || NEW.id
          AND wallet.user_id = NEW.user_id AND leg.amount = NEW.amount
          AND leg.transaction_type = NEW.transaction_type
    ) THEN
        RAISE EXCEPTION 'adjustment % has not booked its amount', OLD.id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'wallets_adjustment_booked';
    END IF;
    RETURN NULL;
END $$;

-- AFTER: the check constraints, four eyes among them, have had their say.
CREATE TRIGGER wallets_adjustment_check AFTER INSERT OR UPDATE ON credit_adjustments
    FOR EACH ROW EXECUTE FUNCTION wallets_check_adjustment();

-- Prevents who asked and who agreed from vanishing.
CREATE FUNCTION wallets_keep_adjustment() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: it is kept for ever', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'wallets_adjustment_kept';
END $$;

CREATE TRIGGER wallets_adjustment_no_delete BEFORE DELETE ON credit_adjustments
    FOR EACH ROW EXECUTE FUNCTION wallets_keep_adjustment();
CREATE TRIGGER wallets_adjustment_no_truncate BEFORE TRUNCATE ON credit_adjustments
    FOR EACH STATEMENT EXECUTE FUNCTION wallets_keep_adjustment();
ALTER TABLE credit_adjustments ENABLE ALWAYS TRIGGER wallets_adjustment_no_delete;
ALTER TABLE credit_adjustments ENABLE ALWAYS TRIGGER wallets_adjustment_no_truncate;
