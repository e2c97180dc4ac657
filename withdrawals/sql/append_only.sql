-- What happened to money that left stays on record. Row triggers do not see TRUNCATE, so
-- it has one of its own. ENABLE ALWAYS: session_replication_role = replica does not
-- switch these off.

CREATE FUNCTION withdrawals_refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: it is kept for ever', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'withdrawals_append_only';
END $$;

-- Prevents exchanges with the gateway from being rewritten, and a rate from being changed
-- after somebody was paid by it: another row is added.
CREATE TRIGGER withdrawals_append_only BEFORE UPDATE OR DELETE ON payout_attempts
    FOR EACH ROW EXECUTE FUNCTION withdrawals_refuse_change();
CREATE TRIGGER withdrawals_append_only BEFORE UPDATE OR DELETE ON payout_rates
    FOR EACH ROW EXECUTE FUNCTION withdrawals_refuse_change();
-- Prevents withdrawals, payouts, methods and the switch from vanishing.
CREATE TRIGGER withdrawals_no_delete BEFORE DELETE ON withdrawal_requests
    FOR EACH ROW EXECUTE FUNCTION withdrawals_refuse_change();
CREATE TRIGGER withdrawals_no_delete BEFORE DELETE ON payouts
    FOR EACH ROW EXECUTE FUNCTION withdrawals_refuse_change();
CREATE TRIGGER withdrawals_no_delete BEFORE DELETE ON payout_methods
    FOR EACH ROW EXECUTE FUNCTION withdrawals_refuse_change();
CREATE TRIGGER withdrawals_no_delete BEFORE DELETE ON payout_switch
    FOR EACH ROW EXECUTE FUNCTION withdrawals_refuse_change();
CREATE TRIGGER withdrawals_no_truncate BEFORE TRUNCATE ON withdrawal_requests
    FOR EACH STATEMENT EXECUTE FUNCTION withdrawals_refuse_change();
CREATE TRIGGER withdrawals_no_truncate BEFORE TRUNCATE ON payouts
    FOR EACH STATEMENT EXECUTE FUNCTION withdrawals_refuse_change();
CREATE TRIGGER withdrawals_no_truncate BEFORE TRUNCATE ON payout_attempts
    FOR EACH STATEMENT EXECUTE FUNCTION withdrawals_refuse_change();
CREATE TRIGGER withdrawals_no_truncate BEFORE TRUNCATE ON payout_rates
    FOR EACH STATEMENT EXECUTE FUNCTION withdrawals_refuse_change();
CREATE TRIGGER withdrawals_no_truncate BEFORE TRUNCATE ON payout_methods
    FOR EACH STATEMENT EXECUTE FUNCTION withdrawals_refuse_change();
CREATE TRIGGER withdrawals_no_truncate BEFORE TRUNCATE ON payout_switch
    FOR EACH STATEMENT EXECUTE FUNCTION withdrawals_refuse_change();

ALTER TABLE payout_attempts ENABLE ALWAYS TRIGGER withdrawals_append_only;
ALTER TABLE payout_rates ENABLE ALWAYS TRIGGER withdrawals_append_only;
ALTER TABLE withdrawal_requests ENABLE ALWAYS TRIGGER withdrawals_no_delete;
ALTER TABLE payouts ENABLE ALWAYS TRIGGER withdrawals_no_delete;
ALTER TABLE payout_methods ENABLE ALWAYS TRIGGER withdrawals_no_delete;
ALTER TABLE payout_switch ENABLE ALWAYS TRIGGER withdrawals_no_delete;
ALTER TABLE withdrawal_requests ENABLE ALWAYS TRIGGER withdrawals_no_truncate;
ALTER TABLE payouts ENABLE ALWAYS TRIGGER withdrawals_no_truncate;
ALTER TABLE payout_attempts ENABLE ALWAYS TRIGGER withdrawals_no_truncate;
ALTER TABLE payout_rates ENABLE ALWAYS TRIGGER withdrawals_no_truncate;
ALTER TABLE payout_methods ENABLE ALWAYS TRIGGER withdrawals_no_truncate;
ALTER TABLE payout_switch ENABLE ALWAYS TRIGGER withdrawals_no_truncate;
