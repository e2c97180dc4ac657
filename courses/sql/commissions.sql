-- Commissions and what they make of a sale, a second time.

-- Prevents a part of the price from going to somebody else than the rate says: the fee is
-- the rate's part of the price, rounded to the cent.
ALTER TABLE enrollments ADD CONSTRAINT courses_enrollment_fee_of_rate
    CHECK (fee - price * commission_rate BETWEEN -0.005 AND 0.005);

CREATE FUNCTION courses_check_commission() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Prevents the terms that something was sold on from being rewritten. What has not
    -- begun may be cancelled, once; a check constraint compares the two moments.
    IF (NEW.id, NEW.course_id, NEW.coach_id, NEW.rate, NEW.effective_from,
        NEW.created_at, NEW.created_by_id)
       IS DISTINCT FROM
       (OLD.id, OLD.course_id, OLD.coach_id, OLD.rate, OLD.effective_from,
        OLD.created_at, OLD.created_by_id)
       OR OLD.cancelled_at IS NOT NULL
    THEN
        RAISE EXCEPTION 'commission % may only be cancelled, once', OLD.id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'courses_commission_immutable';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER courses_check_commission BEFORE UPDATE ON commission_rates
    FOR EACH ROW EXECUTE FUNCTION courses_check_commission();
CREATE TRIGGER courses_no_delete BEFORE DELETE ON commission_rates
    FOR EACH ROW EXECUTE FUNCTION courses_refuse_change();
CREATE TRIGGER courses_no_truncate BEFORE TRUNCATE ON commission_rates
    FOR EACH STATEMENT EXECUTE FUNCTION courses_refuse_change();

CREATE FUNCTION courses_check_new_enrollment() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    -- Prevents coaches from turning bought credits into earnings, which can be withdrawn,
    -- by paying themselves: as the learner or as the sponsor.
    IF EXISTS (
        SELECT FROM courses AS course
        WHERE course.id = NEW.course_id
          AND course.coach_id IN (NEW.learner_id, NEW.payer_id)
    ) THEN
        RAISE EXCEPTION 'a coach may not pay for a place in course %', NEW.course_id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'courses_enrollment_not_own_course';
    END IF;
    -- Prevents a sale on a commission that was not in force for it.
    IF NEW.commission_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM commission_rates AS commission
        JOIN courses AS course ON course.id = NEW.course_id
        WHERE commission.id = NEW.commission_id
          AND commission.rate = NEW.commission_rate
          AND commission.effective_from <= NEW.enrolled_at
          AND commission.cancelled_at IS NULL
          AND coalesce(commission.course_id, course.id) = course.id
          AND coalesce(commission.coach_id, course.coach_id) = course.coach_id
    ) THEN
        RAISE EXCEPTION 'commission % is not in force for course %',
            NEW.commission_id, NEW.course_id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'courses_enrollment_commission_in_force';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER courses_check_new_enrollment BEFORE INSERT ON enrollments
    FOR EACH ROW EXECUTE FUNCTION courses_check_new_enrollment();

-- As before, and who paid and by which commission stay too: a refund goes to who paid.
CREATE OR REPLACE FUNCTION courses_check_enrollment() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Prevents a refunded learner from being let in again without paying.
    IF NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN (
        ('active', 'refunded')
    ) THEN
        RAISE EXCEPTION 'enrollment % cannot go from % to %',
            OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'courses_enrollment_transition';
    END IF;
    -- Prevents the terms of a sale from being rewritten after it.
    IF NEW.id <> OLD.id
       OR NEW.course_id <> OLD.course_id
       OR NEW.learner_id <> OLD.learner_id
       OR NEW.payer_id IS DISTINCT FROM OLD.payer_id
       OR NEW.price <> OLD.price
       OR NEW.fee <> OLD.fee
       OR NEW.earnings <> OLD.earnings
       OR NEW.commission_rate <> OLD.commission_rate
       OR NEW.commission_id IS DISTINCT FROM OLD.commission_id
       OR NEW.transfer_id IS DISTINCT FROM OLD.transfer_id
       OR NEW.idempotency_key IS DISTINCT FROM OLD.idempotency_key
       OR NEW.idempotency_digest <> OLD.idempotency_digest
       OR NEW.enrolled_at <> OLD.enrolled_at
       OR NEW.matures_at <> OLD.matures_at
       OR OLD.refunded_at IS NOT NULL AND NEW.refunded_at IS DISTINCT FROM OLD.refunded_at
    THEN
        RAISE EXCEPTION 'the terms of enrollment % may not change', OLD.id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'courses_enrollment_immutable';
    END IF;
    -- Prevents a refund from being forgotten, and so from being given again.
    IF NEW.refunded_amount < OLD.refunded_amount OR NEW.refunds < OLD.refunds THEN
        RAISE EXCEPTION 'what enrollment % gave back cannot become less', OLD.id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'courses_enrollment_refunds_grow';
    END IF;
    RETURN NEW;
END $$;
