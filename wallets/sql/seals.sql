-- Seals are a chain that only grows: each takes up where the last one ended and names
-- it. ENABLE ALWAYS: session_replication_role = replica does not switch these off.

CREATE FUNCTION ledger_check_seal() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    last credit_seals;
BEGIN
    -- Prevents a fork, a gap in the numbers, and rows that are in two seals or in none.
    -- Two that seal at once both find the same last one; the primary key lets the first
    -- of them in.
    SELECT * INTO last FROM credit_seals ORDER BY number DESC LIMIT 1;
    IF NEW.number <> coalesce(last.number, 0) + 1
       OR NEW.after_id <> coalesce(last.last_id, 0)
       OR NEW.previous_digest <> coalesce(last.digest, repeat('0', 64))
    THEN
        RAISE EXCEPTION 'seal % does not follow the last one', NEW.number
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_seal_follows';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER ledger_check_seal BEFORE INSERT ON credit_seals
    FOR EACH ROW EXECUTE FUNCTION ledger_check_seal();
-- Prevents a seal from being edited or removed.
CREATE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE ON credit_seals
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change();
-- Prevents the seals from vanishing whole.
CREATE TRIGGER ledger_no_truncate BEFORE TRUNCATE ON credit_seals
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();

ALTER TABLE credit_seals ENABLE ALWAYS TRIGGER ledger_check_seal;
ALTER TABLE credit_seals ENABLE ALWAYS TRIGGER ledger_append_only;
ALTER TABLE credit_seals ENABLE ALWAYS TRIGGER ledger_no_truncate;
