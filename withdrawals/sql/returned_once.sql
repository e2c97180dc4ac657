-- Prevents credits from being given back twice, or taken twice, however many cases a
-- withdrawal has: each case that is booked turns round what the books said before.
CREATE FUNCTION withdrawals_check_returned() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    returned bigint;
BEGIN
    -- One lock for all cases of a withdrawal: two that are settled at once are looked at
    -- one after the other.
    PERFORM FROM withdrawal_requests WHERE id = NEW.withdrawal_id FOR NO KEY UPDATE;
    SELECT (
            SELECT count(*) FROM payouts
            WHERE withdrawal_id = NEW.withdrawal_id AND status = 'failed'
        ) + coalesce(sum(CASE resolution WHEN 'given_back' THEN 1 ELSE -1 END), 0)
    INTO returned
    FROM payout_cases
    WHERE withdrawal_id = NEW.withdrawal_id AND transfer_id IS NOT NULL;
    IF returned NOT IN (0, 1) THEN
        RAISE EXCEPTION 'the credits of withdrawal % would be % times with the coach',
            NEW.withdrawal_id, returned
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'withdrawals_case_returned_once';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER withdrawals_check_returned AFTER UPDATE ON payout_cases
    FOR EACH ROW WHEN (NEW.transfer_id IS NOT NULL)
    EXECUTE FUNCTION withdrawals_check_returned();
