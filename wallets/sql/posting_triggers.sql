-- What calls the guards of `posting.sql`.

CREATE OR REPLACE TRIGGER ledger_check_transactions AFTER INSERT ON credit_transactions
    REFERENCING NEW TABLE AS posted
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_check_transactions();

CREATE OR REPLACE TRIGGER ledger_check_transfers AFTER INSERT ON credit_transfers
    REFERENCING NEW TABLE AS opened
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_check_transfers();

CREATE OR REPLACE TRIGGER ledger_check_wallets AFTER UPDATE ON credit_wallets
    REFERENCING OLD TABLE AS was
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_check_wallets();

CREATE OR REPLACE TRIGGER ledger_check_new_wallet BEFORE INSERT ON credit_wallets
    FOR EACH ROW EXECUTE FUNCTION ledger_check_new_wallet();
