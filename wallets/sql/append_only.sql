-- What was booked stays booked: transfers and transactions are never changed, deleted
-- or emptied, by anyone. Row triggers do not see TRUNCATE, so it has one of its own.
-- ENABLE ALWAYS: session_replication_role = replica does not switch these off.

CREATE FUNCTION ledger_refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: the ledger can only grow', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'ledger_append_only';
END $$;

-- Prevents a booked row from being edited or removed.
CREATE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE ON credit_transfers
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE ON credit_transactions
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change();
-- Prevents history, wallets and holds from vanishing whole.
CREATE TRIGGER ledger_no_truncate BEFORE TRUNCATE ON credit_transfers
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER ledger_no_truncate BEFORE TRUNCATE ON credit_transactions
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER ledger_no_truncate BEFORE TRUNCATE ON credit_wallets
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER ledger_no_truncate BEFORE TRUNCATE ON credit_holds
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
-- Prevents a wallet or a hold from being removed.
CREATE TRIGGER ledger_no_delete BEFORE DELETE ON credit_wallets
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER ledger_no_delete BEFORE DELETE ON credit_holds
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change();

ALTER TABLE credit_transfers ENABLE ALWAYS TRIGGER ledger_append_only;
ALTER TABLE credit_transactions ENABLE ALWAYS TRIGGER ledger_append_only;
ALTER TABLE credit_transfers ENABLE ALWAYS TRIGGER ledger_no_truncate;
ALTER TABLE credit_transactions ENABLE ALWAYS TRIGGER ledger_no_truncate;
ALTER TABLE credit_wallets ENABLE ALWAYS TRIGGER ledger_no_truncate;
ALTER TABLE credit_holds ENABLE ALWAYS TRIGGER ledger_no_truncate;
ALTER TABLE credit_wallets ENABLE ALWAYS TRIGGER ledger_no_delete;
ALTER TABLE credit_holds ENABLE ALWAYS TRIGGER ledger_no_delete;
