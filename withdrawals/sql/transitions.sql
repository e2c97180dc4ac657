-- The states of withdrawals and payouts a second time: no bug, shell or SQL client takes
-- a step that does not exist, changes what was agreed, or sends money that nobody
-- approved. The steps are those of TRANSITIONS in the models; a test compares them.

CREATE FUNCTION withdrawals_request_may_move(before text, after text) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (before, after) IN (
        ('requested', 'approved'), ('requested', 'rejected'), ('requested', 'cancelled'),
        ('approved', 'sending'), ('approved', 'cancelled'),
        ('sending', 'paid'), ('sending', 'failed')
    )
$$;

CREATE FUNCTION withdrawals_payout_may_move(before text, after text) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (before, after) IN (
        ('ready', 'sent'), ('ready', 'dropped'),
        ('sent', 'ready'), ('sent', 'paid'), ('sent', 'failed')
    )
$$;

-- Prevents a withdrawal that is born approved, or whose credits are not the coach's own.
CREATE FUNCTION withdrawals_check_new_request() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.status <> 'requested' OR NEW.decided_by_id IS NOT NULL
       OR NEW.second_decided_by_id IS NOT NULL
    THEN
        RAISE EXCEPTION 'withdrawal % must begin as requested', NEW.id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'withdrawals_request_begins';
    END IF;
    IF NOT EXISTS (
        SELECT FROM credit_transactions AS leg
        JOIN credit_wallets AS wallet ON wallet.id = leg.wallet_id
        WHERE leg.transfer_id = NEW.transfer_id AND wallet.user_id = NEW.user_id
          AND leg.transaction_type = 'withdrawal' AND leg.amount = -NEW.credits
    ) THEN
        RAISE EXCEPTION 'withdrawal % has not taken its credits', NEW.id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'withdrawals_request_has_credits';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER withdrawals_check_new BEFORE INSERT ON withdrawal_requests
    FOR EACH ROW EXECUTE FUNCTION withdrawals_check_new_request();

CREATE FUNCTION withdrawals_check_request() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.status <> OLD.status
       AND NOT withdrawals_request_may_move(OLD.status, NEW.status)
    THEN
        RAISE EXCEPTION 'withdrawal % may not go from % to %',
            OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'withdrawals_request_transition';
    END IF;
    -- Prevents a redirection of the money after it was looked at: an approval is bound to
    -- the sum and the account.
    IF (NEW.id, NEW.user_id, NEW.credits, NEW.rate, NEW.gross, NEW.fee, NEW.net,
        NEW.currency, NEW.payout_method_id, NEW.kind, NEW.destination_id,
        NEW.destination_name, NEW.account_name, NEW.account_number_encrypted,
        NEW.account_number_last, NEW.requested_by_id, NEW.transfer_id,
        NEW.approvals_required, NEW.idempotency_key, NEW.idempotency_digest,
        NEW.requested_at)
       IS DISTINCT FROM
       (OLD.id, OLD.user_id, OLD.credits, OLD.rate, OLD.gross, OLD.fee, OLD.net,
        OLD.currency, OLD.payout_method_id, OLD.kind, OLD.destination_id,
        OLD.destination_name, OLD.account_name, OLD.account_number_encrypted,
        OLD.account_number_last, OLD.requested_by_id, OLD.transfer_id,
        OLD.approvals_required, OLD.idempotency_key, OLD.idempotency_digest,
        OLD.requested_at)
    THEN
        RAISE EXCEPTION 'the terms of withdrawal % are fixed', OLD.id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'withdrawals_request_terms';
    END IF;
    -- Prevents an approval from being taken over by, or blamed on, somebody else, and the
    -- credits from being given back and paid.
    IF OLD.decided_by_id <> NEW.decided_by_id OR OLD.second_decided_by_id <> NEW.second_decided_by_id
       OR OLD.closing_transfer_id <> NEW.closing_transfer_id
       OR (OLD.decided_by_id IS NOT NULL AND NEW.decided_by_id IS NULL)
       OR (OLD.second_decided_by_id IS NOT NULL AND NEW.second_decided_by_id IS NULL)
       OR (OLD.closing_transfer_id IS NOT NULL AND NEW.closing_transfer_id IS NULL)
    THEN
        RAISE EXCEPTION 'who decided on withdrawal %, and how it ended, is fixed', OLD.id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'withdrawals_request_decision';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER withdrawals_check BEFORE UPDATE ON withdrawal_requests
    FOR EACH ROW EXECUTE FUNCTION withdrawals_check_request();

-- Prevents a payout of a withdrawal that nobody approved, or of another sum.
CREATE FUNCTION withdrawals_check_new_payout() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.status <> 'ready' OR NOT EXISTS (
        SELECT FROM withdrawal_requests AS request
        WHERE request.id = NEW.withdrawal_id AND request.status = 'approved'
          AND request.net = NEW.amount AND request.currency = NEW.currency
    ) THEN
        RAISE EXCEPTION 'payout % is not of an approved withdrawal and its sum',
            NEW.charge_id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'withdrawals_payout_approved';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER withdrawals_check_new BEFORE INSERT ON payouts
    FOR EACH ROW EXECUTE FUNCTION withdrawals_check_new_payout();

CREATE FUNCTION withdrawals_check_payout() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.status <> OLD.status
       AND NOT withdrawals_payout_may_move(OLD.status, NEW.status)
    THEN
        RAISE EXCEPTION 'payout % may not go from % to %',
            OLD.charge_id, OLD.status, NEW.status
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'withdrawals_payout_transition';
    END IF;
    -- Prevents a second name for one payout, which could be paid twice, and another sum.
    IF (NEW.id, NEW.withdrawal_id, NEW.charge_id, NEW.amount, NEW.currency, NEW.created_at)
       IS DISTINCT FROM
       (OLD.id, OLD.withdrawal_id, OLD.charge_id, OLD.amount, OLD.currency, OLD.created_at)
    THEN
        RAISE EXCEPTION 'the terms of payout % are fixed', OLD.charge_id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'withdrawals_payout_terms';
    END IF;
    -- Prevents any sending while payouts are frozen, whoever asks.
    IF NEW.status = 'sent' AND OLD.status = 'ready'
       AND EXISTS (SELECT FROM payout_switch WHERE frozen_at IS NOT NULL)
    THEN
        RAISE EXCEPTION 'payouts are frozen'
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'withdrawals_payout_frozen';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER withdrawals_check BEFORE UPDATE ON payouts
    FOR EACH ROW EXECUTE FUNCTION withdrawals_check_payout();

-- Prevents the account of a payout method from being exchanged under its owner, and its
-- cooling-off from being cut short. It is removed once and not brought back.
CREATE FUNCTION withdrawals_check_method() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.id, NEW.user_id, NEW.kind, NEW.destination_id, NEW.destination_name,
        NEW.account_name, NEW.account_number_encrypted, NEW.account_number_last,
        NEW.fingerprint, NEW.usable_from, NEW.created_at)
       IS DISTINCT FROM
       (OLD.id, OLD.user_id, OLD.kind, OLD.destination_id, OLD.destination_name,
        OLD.account_name, OLD.account_number_encrypted, OLD.account_number_last,
        OLD.fingerprint, OLD.usable_from, OLD.created_at)
       OR OLD.removed_at IS NOT NULL
    THEN
        RAISE EXCEPTION 'payout method % may only be removed, once', OLD.id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'withdrawals_method_fixed';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER withdrawals_check BEFORE UPDATE ON payout_methods
    FOR EACH ROW EXECUTE FUNCTION withdrawals_check_method();
