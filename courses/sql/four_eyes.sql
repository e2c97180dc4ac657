-- Large lists of bonuses take two people. Both functions are as before but for that.

CREATE OR REPLACE FUNCTION courses_check_run() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Prevents a list from becoming another one after it was begun, and who agreed to it
    -- from being changed.
    IF (NEW.id, NEW.kind, NEW.name, NEW.digest, NEW.all_or_nothing, NEW.course_id,
        NEW.sponsor_id, NEW.reason, NEW.created_by_id, NEW.created_at,
        NEW.needs_second)
       IS DISTINCT FROM
       (OLD.id, OLD.kind, OLD.name, OLD.digest, OLD.all_or_nothing, OLD.course_id,
        OLD.sponsor_id, OLD.reason, OLD.created_by_id, OLD.created_at,
        OLD.needs_second)
       OR OLD.agreed_by_id IS NOT NULL
          AND NEW.agreed_by_id IS DISTINCT FROM OLD.agreed_by_id
       OR OLD.finished_at IS NOT NULL
    THEN
        RAISE EXCEPTION 'list % may only be finished, once', OLD.id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'courses_bulkrun_immutable';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION courses_check_row() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
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
    -- Prevents one person alone from giving away much in small lines.
    IF NEW.status = 'done' AND EXISTS (
        SELECT FROM bulk_runs AS run
        WHERE run.id = NEW.run_id AND run.needs_second AND run.agreed_by_id IS NULL
    ) THEN
        RAISE EXCEPTION 'list % waits for a second person', NEW.run_id
            USING ERRCODE = 'restrict_violation',
                CONSTRAINT = 'courses_bulkrow_agreed_to';
    END IF;
    RETURN NEW;
END $$;
