"""What is said to Postgres of the line, and of processes that are gone.

Of the names in the clauses: `j` is a job, `w` a worker of Procrastinate.
"""

STOP = "UPDATE turnline_line SET is_stopped = true WHERE turn_id = %s AND runner IS NULL"

IS_STOPPED = "SELECT is_stopped FROM turnline_line WHERE turn_id = %s"

BEGIN = """
    UPDATE turnline_accepted AS a SET attempts = attempts + 1 WHERE id = %s AND state IS NULL
    AND NOT EXISTS (SELECT FROM turnline_line WHERE turn_id = a.id AND is_stopped)
    RETURNING attempts, conversation
"""

HOOK = """
    INSERT INTO turnline_hooks VALUES (%s, %s)
    ON CONFLICT (turn_id) DO UPDATE SET holder = excluded.holder
"""

LEASE = """
    make_interval(secs => coalesce(
        (SELECT lease_s FROM turnline_processes WHERE worker = w.id), %(lease_s)s
    ))
"""
LIVES = f"w.last_heartbeat > now() - {LEASE}"

IS_LONG_UP = """
    pg_postmaster_start_time() < now() - make_interval(secs => greatest(
        %(lease_s)s, (SELECT max(lease_s) FROM turnline_processes)
    ))
"""
"""After a restart of Postgres each process has a lease to come back, before it counts as gone."""

STALLED = f"""
    {IS_LONG_UP} AND j.status = 'doing' AND (j.worker_id IS NULL OR NOT EXISTS (
        SELECT FROM procrastinate_workers AS w WHERE w.id = j.worker_id
        AND {LIVES}
    ))
"""
