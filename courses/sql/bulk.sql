-- Lists: what was asked for stays as it was, and a line is decided once.

CREATE FUNCTION courses_check_run() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Prevents a list from becoming another one after it was begun.
    IF (NEW.id, NEW.kind, NEW.name, NEW.digest, NEW.all_or_nothing, NEW.course_id,
        NEW.sponsor_id, NEW.reason, NEW.created_by_id, NEW.created_at)
       IS DISTINCT FROM
       (OLD.id, OLD.kind, OLD.name, OLD.digest, OLD.all_or_nothing, OLD.course_id,
        OLD.sponsor_id, OLD.reason, OLD.created_by_id, OLD.created_at)
       OR OLD.finished_at IS NOT NULL
    THEN
        RAISE EXCEPTION 'list % may only be finished, once', OLD.id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'courses_bulkrun_immutable';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER courses_check_run BEFORE UPDATE ON bulk_runs
    FOR EACH ROW EXECUTE FUNCTION courses_check_run();

CREATE FUNCTION courses_check_row() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Prevents a line from being carried out twice, or for somebody else.
    IF (NEW.id, NEW.run_id, NEW.line, NEW.person, NEW.user_id, NEW.amount)
       IS DISTINCT FROM
       (OLD.id, OLD.run_id, OLD.line, OLD.person, OLD.user_id, OLD.amount)
       OR OLD.status <> 'pending'
    THEN
        RAISE EXCEPTION 'line % of list % may only be decided, once',
            OLD.line, OLD.run_id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'courses_bulkrow_decided_once';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER courses_check_row BEFORE UPDATE ON bulk_rows
    FOR EACH ROW EXECUTE FUNCTION courses_check_row();

-- Prevents who got what by which list from vanishing.
CREATE TRIGGER courses_no_delete BEFORE DELETE ON bulk_runs
    FOR EACH ROW EXECUTE FUNCTION courses_refuse_change();
CREATE TRIGGER courses_no_delete BEFORE DELETE ON bulk_rows
    FOR EACH ROW EXECUTE FUNCTION courses_refuse_change();
CREATE TRIGGER courses_no_truncate BEFORE TRUNCATE ON bulk_runs
    FOR EACH STATEMENT EXECUTE FUNCTION courses_refuse_change();
CREATE TRIGGER courses_no_truncate BEFORE TRUNCATE ON bulk_rows
    FOR EACH STATEMENT EXECUTE FUNCTION courses_refuse_change();
