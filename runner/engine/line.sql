-- The line of all processes, beside Procrastinate's jobs: one row for each turn that has not
-- ended, written with its job and gone with it. Procrastinate's `lock` keeps a conversation's
-- turns apart; what is here says who asked, who runs it, and in which order lines are served.

CREATE TABLE turnline_line (
    turn_id text PRIMARY KEY,
    job bigint NOT NULL UNIQUE,
    conversation text NOT NULL,
    caller text NOT NULL,
    -- The process whose client waits for it.
    holder text NOT NULL,
    -- Whether it runs though its holder is gone.
    outlives boolean NOT NULL,
    priority integer NOT NULL,
    -- Its place in its conversation as it came, from 1, and when it is served: the lowest first.
    place integer NOT NULL,
    rank integer NOT NULL,
    -- The process whose agent was called for it, or NULL while it waits.
    runner text,
    -- Whether it was cancelled when a process had fetched it and not called its agent yet.
    is_stopped boolean NOT NULL DEFAULT false
);
CREATE INDEX turnline_line_conversation ON turnline_line (conversation);
CREATE INDEX turnline_line_caller ON turnline_line (caller);
CREATE INDEX turnline_line_holder ON turnline_line (holder);

-- How far lines were served: the rank of the turn that started last. A sequence, since a row
-- would be locked by whoever starts a turn until that is on the disk.
CREATE SEQUENCE turnline_served MINVALUE -2147483648 START 0;

CREATE TABLE turnline_processes (
    id text PRIMARY KEY,
    name text NOT NULL,
    worker bigint NOT NULL,
    slots integer NOT NULL,
    -- Seconds of silence after which it counts as gone: its own, while others are set otherwise.
    lease_s double precision NOT NULL DEFAULT 30,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now()
);

-- Keys are looked up by all processes.
CREATE INDEX turnline_key ON turnline_accepted (key) WHERE key IS NOT NULL;

-- Which process delivers the webhook of a turn.
CREATE TABLE turnline_hooks (turn_id text PRIMARY KEY, holder text NOT NULL);

-- A worker hears of jobs that come, but not of a conversation that is free again.
CREATE FUNCTION turnline_hand_over() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('turnline_jobs', '');
    RETURN NULL;
END;
$$;
CREATE TRIGGER turnline_job_came AFTER INSERT ON procrastinate_jobs
    FOR EACH ROW EXECUTE FUNCTION turnline_hand_over();
CREATE TRIGGER turnline_job_went AFTER DELETE ON procrastinate_jobs
    FOR EACH ROW WHEN (OLD.status = 'doing') EXECUTE FUNCTION turnline_hand_over();
CREATE TRIGGER turnline_job_came_back AFTER UPDATE OF status ON procrastinate_jobs
    FOR EACH ROW WHEN (OLD.status = 'doing' AND NEW.status <> 'doing')
    EXECUTE FUNCTION turnline_hand_over();

-- One admission at a time over all processes, so that bounds hold and turns have an order.
CREATE FUNCTION turnline_lock_admission() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('turnline admission ' || current_schema(), 0));
END;
$$;

-- Give a turn its job and its place, or the name of the refusal.
--
-- The rank is that of start-time fair queueing (Goyal, Vin and Cheng, 1996) with a caller's turns
-- as a flow, in which its conversations take turns: after what was served last come those that it
-- has running, and those that wait and are served before this one. Under the policy `queue` a level
-- of urgency is worth `urgency` such places.
CREATE FUNCTION turnline_admit(
    new_turn text, in_conversation text, under_key text, of_caller text, by_process text,
    outlives boolean,
    new_priority integer, policy text, max_waiting integer, max_per_conversation integer,
    max_per_caller integer, urgency integer
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    all_turns integer;
    waiting integer;
    here integer;
    here_waiting integer;
    caller_waiting integer;
    slots integer;
    level integer := 0;
    new_rank integer;
    new_job bigint;
BEGIN
    PERFORM turnline_lock_admission();
    IF EXISTS (
        SELECT FROM turnline_accepted WHERE conversation = in_conversation AND key = under_key
        AND outcome IS DISTINCT FROM 'not_started'
    ) THEN
        RETURN 'KeyTaken';
    END IF;
    SELECT count(*), count(*) FILTER (WHERE runner IS NULL) INTO here, here_waiting
        FROM turnline_line WHERE conversation = in_conversation;
    IF policy = 'reject' AND here > 0 THEN
        RETURN 'ConversationBusy';
    END IF;
    SELECT count(*), count(*) FILTER (WHERE runner IS NULL) INTO all_turns, waiting
        FROM turnline_line;
    IF policy = 'queue' THEN
        level := new_priority - 3;
        SELECT coalesce(sum(p.slots), 0) INTO slots FROM turnline_processes AS p
            WHERE p.seen_at > now() - make_interval(secs => p.lease_s);
        IF here > 0 OR all_turns >= slots THEN  -- Otherwise it starts at once.
            IF here_waiting >= max_per_conversation THEN
                RETURN 'ConversationQueueFull';
            END IF;
            SELECT count(*) INTO caller_waiting FROM turnline_line
                WHERE caller = of_caller AND runner IS NULL;
            IF max_per_caller IS NOT NULL AND caller_waiting >= max_per_caller THEN
                RETURN 'CallerQueueFull';
            END IF;
            IF waiting >= max_waiting THEN
                RETURN 'ServerFull';
            END IF;
        END IF;
    END IF;
    IF all_turns = 0 THEN
        PERFORM setval('turnline_served', 0);
    END IF;
    SELECT s.last_value + (
        SELECT count(*) FROM turnline_line WHERE caller = of_caller
        AND (runner IS NOT NULL OR place <= here_waiting + 1)
    ) INTO new_rank FROM turnline_served AS s;
    SELECT greatest(new_rank, max(rank - urgency * (priority - 3))) + urgency * level INTO new_rank
        FROM turnline_line
        WHERE conversation = in_conversation AND runner IS NULL AND priority - 3 <= level;
    new_job := (procrastinate_defer_jobs_v1(ARRAY[ROW(
        'turnline', 'turn', -new_rank, in_conversation, NULL,
        jsonb_build_object('turn_id', new_turn), NULL
    )::procrastinate_job_to_defer_v1]))[1];
    INSERT INTO turnline_line VALUES (
        new_turn, new_job, in_conversation, of_caller, by_process, outlives, level + 3,
        here_waiting + 1, new_rank
    );
    RETURN '';
END;
$$;

-- Its agent is about to be called in this process; false where its worker has lost the turn.
CREATE FUNCTION turnline_start(
    started text, by_process text, by_worker bigint, at_attempt integer
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    its_rank integer;
BEGIN
    UPDATE turnline_line AS l SET runner = by_process WHERE l.turn_id = started AND (
        SELECT j.worker_id = by_worker AND j.attempts = at_attempt AND j.status = 'doing'
        FROM procrastinate_jobs AS j WHERE j.id = l.job
    ) RETURNING l.rank INTO its_rank;
    IF its_rank IS NULL THEN
        RETURN false;
    END IF;
    PERFORM setval('turnline_served', its_rank) FROM turnline_served AS s
        WHERE s.last_value < its_rank;
    RETURN true;
END;
$$;

-- Take a turn out of the line before its agent is called; false where that is too late.
CREATE FUNCTION turnline_withdraw(withdrawn text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    -- Not by a join: where many came since the tables were last analysed, that reads all of them.
    DELETE FROM procrastinate_jobs AS j
        WHERE j.id = (SELECT job FROM turnline_line WHERE turn_id = withdrawn)
        AND j.status = 'todo';
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM turnline_line WHERE turn_id = withdrawn;
    PERFORM pg_notify('turnline_jobs', '');  -- Those behind it may be first now.
    RETURN true;
END;
$$;

-- Let go of a turn that this worker has fetched: its conversation is free.
--
-- The attempt tells whether it has fetched it again since, after another process took it away.
CREATE FUNCTION turnline_finish(
    finished text, by_worker bigint, at_attempt integer
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    is_done boolean;
BEGIN
    DELETE FROM procrastinate_jobs AS j
        WHERE j.id = (SELECT job FROM turnline_line WHERE turn_id = finished)
        AND j.worker_id = by_worker AND j.attempts = at_attempt AND j.status = 'doing';
    is_done := FOUND;
    IF is_done THEN
        DELETE FROM turnline_line WHERE turn_id = finished;
    END IF;
    RETURN is_done;
END;
$$;
