-- Steps that nobody takes without a reason that is on record. AFTER triggers: the check
-- constraints have had their say, and rows of the same statement are there.

-- A payout moves on because of an exchange with the gateway that was kept, about this very
-- sending. Prevents P3, P5: a payout of which nobody knows whether it was sent from being
-- made ready for a second call, and credits from being given back, or booked as paid,
-- without the gateway's word or staff's.
CREATE FUNCTION withdrawals_check_evidence() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.sendings <> OLD.sendings
        + (OLD.status = 'ready' AND NEW.status = 'sent')::integer
    THEN
        RAISE EXCEPTION 'payout % counts its sendings', OLD.charge_id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'withdrawals_payout_sendings';
    END IF;
    IF NEW.status = OLD.status THEN
        RETURN NULL;
    END IF;
    IF OLD.status = 'ready' AND NEW.status = 'sent' AND NOT EXISTS (
        SELECT FROM withdrawal_requests AS request
        WHERE request.id = NEW.withdrawal_id AND request.approval_seal <> ''
          AND request.status IN ('approved', 'sending')
    ) THEN
        RAISE EXCEPTION 'the withdrawal of payout % is not approved', OLD.charge_id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'withdrawals_payout_approved';
    END IF;
    IF OLD.status = 'sent' AND NOT EXISTS (
        SELECT FROM payout_attempts AS attempt
        WHERE attempt.payout_id = OLD.id AND attempt.sending = OLD.sendings
          AND CASE NEW.status
              WHEN 'ready' THEN attempt.outcome = 'not_sent'
              WHEN 'paid' THEN attempt.outcome = 'paid'
              WHEN 'failed' THEN attempt.outcome IN ('rejected', 'failed')
                  -- Not known after the settling time, with what the list says.
                  OR (attempt.outcome = 'not_found' AND attempt.response ? 'list'
                      AND attempt.response -> 'list' -> 'found' = 'null')
              ELSE true END
    ) AND NOT (NEW.status = 'failed' AND EXISTS (
        SELECT FROM payout_cases AS settled
        WHERE settled.withdrawal_id = OLD.withdrawal_id
          AND settled.resolution = 'given_back'
    )) THEN
        RAISE EXCEPTION 'payout %: nothing on record says that it is %',
            OLD.charge_id, NEW.status
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'withdrawals_payout_evidence';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER withdrawals_evidence AFTER UPDATE ON payouts
    FOR EACH ROW EXECUTE FUNCTION withdrawals_check_evidence();

-- Prevents a withdrawal from ending otherwise than its payout did, an approval without
-- its seal or with another one put in its place, and reasons from being rewritten.
CREATE FUNCTION withdrawals_check_ending() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.status <> OLD.status AND (OLD.status, NEW.status) IN (
        ('approved', 'cancelled'), ('sending', 'paid'), ('sending', 'failed')
    ) AND NOT EXISTS (
        SELECT FROM payouts AS payout WHERE payout.withdrawal_id = NEW.id
          AND payout.status = CASE NEW.status
              WHEN 'cancelled' THEN 'dropped' ELSE NEW.status END
    ) THEN
        RAISE EXCEPTION 'withdrawal % ends as its payout does', OLD.id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'withdrawals_request_ends_as_payout';
    END IF;
    IF (NEW.status <> OLD.status AND NEW.status = 'approved' AND NEW.approval_seal = '')
       OR (OLD.status <> 'requested' AND NEW.approval_seal <> OLD.approval_seal)
    THEN
        RAISE EXCEPTION 'the approval of withdrawal % is sealed, once', OLD.id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'withdrawals_request_sealed';
    END IF;
    IF OLD.closing_transfer_id IS NOT NULL AND (
        NEW.failure_reason, NEW.decision_note, NEW.decided_at, NEW.paid_at,
        NEW.cancel_key
    ) IS DISTINCT FROM (
        OLD.failure_reason, OLD.decision_note, OLD.decided_at, OLD.paid_at,
        OLD.cancel_key
    ) THEN
        RAISE EXCEPTION 'why and when withdrawal % ended is kept', OLD.id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'withdrawals_request_reasons';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER withdrawals_ending AFTER UPDATE ON withdrawal_requests
    FOR EACH ROW EXECUTE FUNCTION withdrawals_check_ending();

-- Prevents a withdrawal to an account that is not the coach's own, is removed or cools
-- off, and one whose money does not follow from its credits: whole kwacha go out, what
-- rounding leaves over is part of the fee.
CREATE FUNCTION withdrawals_check_new_terms() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM payout_methods AS method
        WHERE method.id = NEW.payout_method_id AND method.user_id = NEW.user_id
          AND method.removed_at IS NULL
          -- The site's clock and this one may differ a little.
          AND method.usable_from <= clock_timestamp() + interval '1 minute'
          AND (method.kind, method.destination_id, method.destination_name,
               method.account_name, method.account_number_last)
            = (NEW.kind, NEW.destination_id, NEW.destination_name,
               NEW.account_name, NEW.account_number_last)
    ) THEN
        RAISE EXCEPTION 'withdrawal % goes to no usable method of the coach', NEW.id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'withdrawals_request_method';
    END IF;
    IF NEW.gross <> trunc(NEW.credits * NEW.rate, 2) OR NEW.net <> trunc(NEW.net) THEN
        RAISE EXCEPTION 'the money of withdrawal % does not follow from its credits',
            NEW.id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'withdrawals_request_money';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER withdrawals_new_terms AFTER INSERT ON withdrawal_requests
    FOR EACH ROW EXECUTE FUNCTION withdrawals_check_new_terms();

-- Prevents a case from vanishing, from being settled twice, and from being settled by
-- whom it would give credits to.
CREATE FUNCTION withdrawals_check_case() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (
        OLD.settled_at IS NOT NULL
        OR (NEW.id, NEW.withdrawal_id, NEW.kind, NEW.detail, NEW.opened_at)
           IS DISTINCT FROM
           (OLD.id, OLD.withdrawal_id, OLD.kind, OLD.detail, OLD.opened_at)
    ) THEN
        RAISE EXCEPTION 'case % is settled once', OLD.id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'withdrawals_case_once';
    END IF;
    IF EXISTS (
        SELECT FROM withdrawal_requests AS request
        WHERE request.id = NEW.withdrawal_id
          AND NEW.settled_by_id IN (request.user_id, request.requested_by_id)
    ) THEN
        RAISE EXCEPTION 'nobody settles a case of their own'
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'withdrawals_case_four_eyes';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER withdrawals_check BEFORE INSERT OR UPDATE ON payout_cases
    FOR EACH ROW EXECUTE FUNCTION withdrawals_check_case();
CREATE TRIGGER withdrawals_no_delete BEFORE DELETE ON payout_cases
    FOR EACH ROW EXECUTE FUNCTION withdrawals_refuse_change();
CREATE TRIGGER withdrawals_no_truncate BEFORE TRUNCATE ON payout_cases
    FOR EACH STATEMENT EXECUTE FUNCTION withdrawals_refuse_change();
ALTER TABLE payout_cases ENABLE ALWAYS TRIGGER withdrawals_no_delete;
ALTER TABLE payout_cases ENABLE ALWAYS TRIGGER withdrawals_no_truncate;
