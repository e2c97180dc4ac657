-- The enrollments' state machine a second time, and what never changes about them. The
-- steps are those of `Enrollment.TRANSITIONS`; a test compares the two.

CREATE FUNCTION courses_check_enrollment() RETURNS trigger
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
       OR NEW.price <> OLD.price
       OR NEW.fee <> OLD.fee
       OR NEW.earnings <> OLD.earnings
       OR NEW.commission_rate <> OLD.commission_rate
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

CREATE TRIGGER courses_check_enrollment BEFORE UPDATE ON enrollments
    FOR EACH ROW EXECUTE FUNCTION courses_check_enrollment();

CREATE FUNCTION courses_check_course() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Prevents the refund of a course from being taken from somebody who never earned it.
    IF NEW.id <> OLD.id OR NEW.coach_id <> OLD.coach_id THEN
        RAISE EXCEPTION 'course % may not change its coach', OLD.id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'courses_course_identity';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER courses_check_course BEFORE UPDATE ON courses
    FOR EACH ROW EXECUTE FUNCTION courses_check_course();

CREATE FUNCTION courses_refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: it is kept for good', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'courses_append_only';
END $$;

-- Prevents who paid for what, and what was given back, from vanishing.
CREATE TRIGGER courses_no_delete BEFORE DELETE ON enrollments
    FOR EACH ROW EXECUTE FUNCTION courses_refuse_change();
CREATE TRIGGER courses_append_only BEFORE UPDATE OR DELETE ON enrollment_refunds
    FOR EACH ROW EXECUTE FUNCTION courses_refuse_change();
CREATE TRIGGER courses_no_truncate BEFORE TRUNCATE ON enrollments
    FOR EACH STATEMENT EXECUTE FUNCTION courses_refuse_change();
CREATE TRIGGER courses_no_truncate BEFORE TRUNCATE ON enrollment_refunds
    FOR EACH STATEMENT EXECUTE FUNCTION courses_refuse_change();
