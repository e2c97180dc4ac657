-- A database that was restored from a backup has forgotten what was sent since. P14: it
-- sends nothing until staff have compared it with the gateway's list.

-- What tells one history of the database from another: the cluster, the database in it,
-- and the timeline, which every recovery to a point in time and every promotion begins
-- anew.
CREATE FUNCTION withdrawals_database_identity() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT concat_ws('/',
        (SELECT system_identifier FROM pg_control_system()),
        (SELECT oid FROM pg_database WHERE datname = current_database()),
        left(pg_walfile_name(pg_current_wal_lsn()), 8))
$$;

CREATE FUNCTION withdrawals_check_restored() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.status = 'sent' AND OLD.status = 'ready' AND EXISTS (
        SELECT FROM payout_switch
        WHERE database <> withdrawals_database_identity()
    ) THEN
        RAISE EXCEPTION 'the database is not the one that payouts were sent from'
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'withdrawals_payout_restored';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER withdrawals_restored AFTER UPDATE ON payouts
    FOR EACH ROW EXECUTE FUNCTION withdrawals_check_restored();

-- Prevents payouts from going on before that comparison was made.
CREATE FUNCTION withdrawals_check_switch() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF OLD.needs_reconciling AND NEW.frozen_at IS NULL
       AND (NEW.reconciled_at IS NULL OR NEW.reconciled_at < OLD.frozen_at)
    THEN
        RAISE EXCEPTION 'payouts go on once they are reconciled with the gateway'
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'withdrawals_switch_reconciled';
    END IF;
    IF OLD.needs_reconciling AND NOT NEW.needs_reconciling
       AND NEW.frozen_at IS NOT NULL
    THEN
        RAISE EXCEPTION 'that payouts have to be reconciled is not forgotten'
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'withdrawals_switch_reconciled';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER withdrawals_switch AFTER UPDATE ON payout_switch
    FOR EACH ROW EXECUTE FUNCTION withdrawals_check_switch();
