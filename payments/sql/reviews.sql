-- Review cases, refunds of money alone, differences with the gateway, and how much of a
-- payment was credited: the same rules as in the services, for whoever goes round them.

-- Prevents credits that nobody paid for: never more than the money that is credited buys
-- at the order's price, and never for more money than the gateway said was paid.
ALTER TABLE credit_purchases
    ADD CONSTRAINT payments_creditpurchase_credited_at_its_price CHECK (
        credited_credits * price <= credits * credited_money
        AND credited_bonus_credits * price <= bonus_credits * credited_money
    ),
    ADD CONSTRAINT payments_creditpurchase_credited_within_paid CHECK (
        transfer_id IS NULL
        OR amount_paid IS NOT NULL AND credited_money <= amount_paid
    );

-- Prevents a case, a difference or a run from vanishing.
CREATE TRIGGER payments_no_delete BEFORE DELETE ON review_cases
    FOR EACH ROW EXECUTE FUNCTION payments_refuse_removal();
CREATE TRIGGER payments_no_delete BEFORE DELETE ON gateway_differences
    FOR EACH ROW EXECUTE FUNCTION payments_refuse_removal();
CREATE TRIGGER payments_no_delete BEFORE DELETE ON reconciliation_runs
    FOR EACH ROW EXECUTE FUNCTION payments_refuse_removal();
CREATE TRIGGER payments_no_truncate BEFORE TRUNCATE ON review_cases
    FOR EACH STATEMENT EXECUTE FUNCTION payments_refuse_removal();
CREATE TRIGGER payments_no_truncate BEFORE TRUNCATE ON gateway_differences
    FOR EACH STATEMENT EXECUTE FUNCTION payments_refuse_removal();
CREATE TRIGGER payments_no_truncate BEFORE TRUNCATE ON reconciliation_runs
    FOR EACH STATEMENT EXECUTE FUNCTION payments_refuse_removal();

CREATE OR REPLACE FUNCTION payments_check_purchase() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Prevents a step that does not exist, and with it a second credit: nothing leads
    -- from paid or refunded back to a state from which it could be paid again.
    IF NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN (
        ('created', 'pending'), ('created', 'paid'), ('created', 'expired'),
        ('created', 'review'),
        ('pending', 'paid'), ('pending', 'expired'), ('pending', 'review'),
        ('expired', 'paid'), ('expired', 'review'),
        ('review', 'paid'), ('review', 'expired'), ('review', 'refunded'),
        ('paid', 'refunded')
    ) THEN
        RAISE EXCEPTION 'purchase % cannot become % from %',
            OLD.id, NEW.status, OLD.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_purchase_transition';
    END IF;

    -- Prevents the terms from changing after the order.
    IF (NEW.id, NEW.user_id, NEW.package_id, NEW.credits, NEW.bonus_credits, NEW.price,
        NEW.currency, NEW.mode, NEW.tx_ref)
       IS DISTINCT FROM
       (OLD.id, OLD.user_id, OLD.package_id, OLD.credits, OLD.bonus_credits, OLD.price,
        OLD.currency, OLD.mode, OLD.tx_ref)
       -- A key may be given back, and is never put on a row that had none.
       OR NEW.idempotency_key IS NOT NULL
          AND NEW.idempotency_key IS DISTINCT FROM OLD.idempotency_key
    THEN
        RAISE EXCEPTION 'the terms of purchase % are fixed', OLD.id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'payments_purchase_terms';
    END IF;

    -- Prevents what was credited or refunded from being unsaid.
    IF OLD.transfer_id IS NOT NULL AND
          (NEW.transfer_id, NEW.paid_at, NEW.paid_mode)
          IS DISTINCT FROM (OLD.transfer_id, OLD.paid_at, OLD.paid_mode)
       OR NEW.credited_credits < OLD.credited_credits
       OR NEW.credited_bonus_credits < OLD.credited_bonus_credits
       OR NEW.credited_money < OLD.credited_money
       OR NEW.refunded_credits < OLD.refunded_credits
       OR NEW.refunded_bonus_credits < OLD.refunded_bonus_credits
       OR NEW.refunded_money < OLD.refunded_money
       OR OLD.status = 'refunded' AND
          (NEW.transfer_id, NEW.paid_at, NEW.amount_paid, NEW.refunded_at,
           NEW.credited_credits, NEW.credited_bonus_credits, NEW.credited_money,
           NEW.refunded_credits, NEW.refunded_bonus_credits, NEW.refunded_money)
          IS DISTINCT FROM
          (OLD.transfer_id, OLD.paid_at, OLD.amount_paid, OLD.refunded_at,
           OLD.credited_credits, OLD.credited_bonus_credits, OLD.credited_money,
           OLD.refunded_credits, OLD.refunded_bonus_credits, OLD.refunded_money)
    THEN
        RAISE EXCEPTION 'what was booked for purchase % stays booked', OLD.id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'payments_purchase_booked';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION payments_check_refund() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Prevents a refund from changing. Only the return of the money is noted, once.
    IF (NEW.id, NEW.purchase_id, NEW.number, NEW.credits, NEW.bonus_credits, NEW.money,
        NEW.currency, NEW.reason, NEW.actor_id, NEW.transfer_id, NEW.created_at)
       IS DISTINCT FROM
       (OLD.id, OLD.purchase_id, OLD.number, OLD.credits, OLD.bonus_credits, OLD.money,
        OLD.currency, OLD.reason, OLD.actor_id, OLD.transfer_id, OLD.created_at)
       OR OLD.status <> 'due'
    THEN
        RAISE EXCEPTION 'refund % does not change', OLD.id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'payments_refund_fixed';
    END IF;
    IF NEW.status NOT IN ('due', 'returned') THEN
        RAISE EXCEPTION 'refund % cannot become % from %',
            OLD.id, NEW.status, OLD.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_refund_transition';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION payments_check_case() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Prevents a case from becoming another one, and a decision from being changed or
    -- made a second time.
    IF (NEW.id, NEW.kind, NEW.reference, NEW.purchase_id, NEW.event_id, NEW.expected,
        NEW.came, NEW.amount, NEW.currency, NEW.opened_at)
       IS DISTINCT FROM
       (OLD.id, OLD.kind, OLD.reference, OLD.purchase_id, OLD.event_id, OLD.expected,
        OLD.came, OLD.amount, OLD.currency, OLD.opened_at)
       OR OLD.status <> 'open'
    THEN
        RAISE EXCEPTION 'review case % is as it was put, or decided', OLD.id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'payments_case_fixed';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER payments_check_case BEFORE UPDATE ON review_cases
    FOR EACH ROW EXECUTE FUNCTION payments_check_case();

CREATE FUNCTION payments_check_difference() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Prevents a difference from becoming another one, and an end from being undone.
    -- That a later run found it again is noted.
    IF (NEW.id, NEW.subject, NEW.reference, NEW.detail, NEW.first_run_id, NEW.found_at)
       IS DISTINCT FROM
       (OLD.id, OLD.subject, OLD.reference, OLD.detail, OLD.first_run_id, OLD.found_at)
       OR OLD.status <> 'open' AND
          (NEW.status, NEW.decided_at, NEW.decided_by_id, NEW.reason)
          IS DISTINCT FROM
          (OLD.status, OLD.decided_at, OLD.decided_by_id, OLD.reason)
    THEN
        RAISE EXCEPTION 'difference % is as it was found, or decided', OLD.id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'payments_difference_fixed';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER payments_check_difference BEFORE UPDATE ON gateway_differences
    FOR EACH ROW EXECUTE FUNCTION payments_check_difference();
