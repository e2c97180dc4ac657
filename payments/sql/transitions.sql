-- The states of purchases and of the gateway's events, a second time: no bug, shell or
-- SQL client can take a step that the models do not have. The steps are those of
-- `CreditPurchase.TRANSITIONS`; a test compares the two.

CREATE FUNCTION payments_refuse_removal() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: what was paid for is kept', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'payments_no_removal';
END $$;

-- Prevents a purchase, a refund or an event from vanishing. Row triggers do not see
-- TRUNCATE, so it has one of its own.
CREATE TRIGGER payments_no_delete BEFORE DELETE ON credit_purchases
    FOR EACH ROW EXECUTE FUNCTION payments_refuse_removal();
CREATE TRIGGER payments_no_delete BEFORE DELETE ON credit_purchase_refunds
    FOR EACH ROW EXECUTE FUNCTION payments_refuse_removal();
CREATE TRIGGER payments_no_delete BEFORE DELETE ON gateway_events
    FOR EACH ROW EXECUTE FUNCTION payments_refuse_removal();
CREATE TRIGGER payments_no_truncate BEFORE TRUNCATE ON credit_purchases
    FOR EACH STATEMENT EXECUTE FUNCTION payments_refuse_removal();
CREATE TRIGGER payments_no_truncate BEFORE TRUNCATE ON credit_purchase_refunds
    FOR EACH STATEMENT EXECUTE FUNCTION payments_refuse_removal();
CREATE TRIGGER payments_no_truncate BEFORE TRUNCATE ON gateway_events
    FOR EACH STATEMENT EXECUTE FUNCTION payments_refuse_removal();

CREATE FUNCTION payments_check_new_purchase() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Prevents a purchase that begins paid for: there is no step into a credit but an
    -- update, which is checked below.
    IF NEW.transfer_id IS NOT NULL THEN
        RAISE EXCEPTION 'a purchase begins without credits'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_purchase_begins';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER payments_check_new_purchase BEFORE INSERT ON credit_purchases
    FOR EACH ROW EXECUTE FUNCTION payments_check_new_purchase();

CREATE FUNCTION payments_check_purchase() RETURNS trigger
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
        NEW.currency, NEW.tx_ref)
       IS DISTINCT FROM
       (OLD.id, OLD.user_id, OLD.package_id, OLD.credits, OLD.bonus_credits, OLD.price,
        OLD.currency, OLD.tx_ref)
       -- A key may be given back, and is never put on a row that had none.
       OR NEW.idempotency_key IS NOT NULL
          AND NEW.idempotency_key IS DISTINCT FROM OLD.idempotency_key
    THEN
        RAISE EXCEPTION 'the terms of purchase % are fixed', OLD.id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'payments_purchase_terms';
    END IF;

    -- Prevents what was credited or refunded from being unsaid.
    IF OLD.transfer_id IS NOT NULL AND NEW.transfer_id IS DISTINCT FROM OLD.transfer_id
       OR OLD.paid_at IS NOT NULL AND NEW.paid_at IS DISTINCT FROM OLD.paid_at
       OR NEW.refunded_credits < OLD.refunded_credits
       OR NEW.refunded_bonus_credits < OLD.refunded_bonus_credits
       OR NEW.refunded_money < OLD.refunded_money
       OR OLD.status = 'refunded' AND
          (NEW.transfer_id, NEW.paid_at, NEW.amount_paid, NEW.refunded_at,
           NEW.refunded_credits, NEW.refunded_bonus_credits, NEW.refunded_money)
          IS DISTINCT FROM
          (OLD.transfer_id, OLD.paid_at, OLD.amount_paid, OLD.refunded_at,
           OLD.refunded_credits, OLD.refunded_bonus_credits, OLD.refunded_money)
    THEN
        RAISE EXCEPTION 'what was booked for purchase % stays booked', OLD.id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'payments_purchase_booked';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER payments_check_purchase BEFORE UPDATE ON credit_purchases
    FOR EACH ROW EXECUTE FUNCTION payments_check_purchase();

CREATE FUNCTION payments_check_refund() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Prevents a refund from changing. Only the return of the money is noted, once.
    IF (NEW.id, NEW.purchase_id, NEW.number, NEW.credits, NEW.bonus_credits, NEW.money,
        NEW.reason, NEW.actor_id, NEW.transfer_id, NEW.created_at)
       IS DISTINCT FROM
       (OLD.id, OLD.purchase_id, OLD.number, OLD.credits, OLD.bonus_credits, OLD.money,
        OLD.reason, OLD.actor_id, OLD.transfer_id, OLD.created_at)
       OR OLD.returned_at IS NOT NULL
    THEN
        RAISE EXCEPTION 'refund % does not change', OLD.id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'payments_refund_fixed';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER payments_check_refund BEFORE UPDATE ON credit_purchase_refunds
    FOR EACH ROW EXECUTE FUNCTION payments_check_refund();

CREATE FUNCTION payments_check_event() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Prevents evidence from being altered.
    IF (NEW.id, NEW.digest, NEW.body, NEW.headers, NEW.signed_by)
       IS DISTINCT FROM
       (OLD.id, OLD.digest, OLD.body, OLD.headers, OLD.signed_by)
       OR NEW.deliveries < OLD.deliveries
    THEN
        RAISE EXCEPTION 'event % is kept as it came', OLD.id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'payments_event_as_it_came';
    END IF;
    -- Prevents work that was done from being undone. What was parked may be tried again.
    IF NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN (
        ('received', 'processed'), ('received', 'parked'), ('parked', 'processed')
    ) THEN
        RAISE EXCEPTION 'event % cannot become % from %', OLD.id, NEW.status, OLD.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_event_transition';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER payments_check_event BEFORE UPDATE ON gateway_events
    FOR EACH ROW EXECUTE FUNCTION payments_check_event();
