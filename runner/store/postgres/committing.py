"""An answered turn goes into the tables: one statement, for each is a round trip."""

from __future__ import annotations

from typing import Any

from psycopg.errors import UniqueViolation

from runner.store.base import Record, StoreUnavailable
from runner.store.postgres.connection import Connection

COMMIT = """
    WITH place AS (
        INSERT INTO turnline_conversations AS c (id, last, said)
        VALUES (%(conversation)s, %(before)s + 1, %(said)s)
        ON CONFLICT (id) DO UPDATE SET last = c.last + 1, said = excluded.said,
        last_at = CASE WHEN abs(excluded.last_at - c.last_at) < 3600 THEN c.last_at
            ELSE excluded.last_at END
        RETURNING last AS number, xmax = 0 AS is_new
    ), turn AS (
        INSERT INTO turnline_turns
        (conversation, number, id, message, reply, state, output, requests)
        SELECT %(conversation)s, number, %(id)s, %(message)s, %(reply)s, %(state)s,
        %(output)s, %(requests)s FROM place
    ), ended AS (
        UPDATE turnline_accepted AS a SET state = %(state)s, number = place.number,
        ran_s = %(ran_s)s, waited_s = answered.waited_s, message = '', more = NULL
        FROM place, unnest(%(answers)s::text[], %(waited_s)s::float8[]) AS answered (id, waited_s)
        WHERE a.id = answered.id AND a.state IS NULL
    ), merged AS (
        INSERT INTO turnline_merged (id, conversation, number)
        SELECT id, %(conversation)s, number
        FROM place, unnest(%(answers)s::text[]) AS answered (id) WHERE id <> %(id)s
    ), "left" AS (
        INSERT INTO turnline_agent_states AS s (conversation, form, state, requests, before)
        SELECT %(conversation)s, %(form)s, %(left)s, %(requests)s, %(left_before)s
        WHERE %(form)s::text IS NOT NULL
        ON CONFLICT (conversation, form) DO UPDATE
        SET state = excluded.state, requests = excluded.requests, before = excluded.before
    )
    SELECT number, is_new FROM place
"""

BEGIN_WITH = """
    INSERT INTO turnline_turns (conversation, number, id, message, reply)
    VALUES (%s, %s, %s, %s, %s)
"""


def commit(db: Connection, record: Record) -> int:
    """The turn's number. Raises StoreUnavailable, UnicodeError, psycopg.Error."""
    try:
        row = db.execute(COMMIT, values_of(record)).fetchone()
    except UniqueViolation as error:
        raise StoreUnavailable(f"Turn {record.turn_id} is in the history already.") from error
    assert row is not None
    if record.before and row["is_new"]:
        _begin_with(db, record)
    return int(row["number"])


def values_of(record: Record) -> dict[str, Any]:
    answers, left = record.answers or (record.turn_id,), record.left
    return {
        "conversation": record.conversation,
        "before": len(record.before),
        "said": record.said,
        "id": record.turn_id,
        "message": record.message.encode(),
        "reply": record.reply.encode(),
        "state": record.state.value,
        "output": record.output,
        "requests": record.requests,
        "form": None if left is None else left.form,
        "left": None if left is None else left.state,
        "left_before": None if left is None else left.before,
        "ran_s": record.ran_s,
        "answers": list(answers),
        "waited_s": [record.waited_s.get(turn_id) for turn_id in answers],
    }


def _begin_with(db: Connection, record: Record) -> None:
    """What was said elsewhere comes before it."""
    turns = [
        (record.conversation, place, record.id_before(place), message.encode(), reply.encode())
        for place, (message, reply) in enumerate(record.before, 1)
    ]
    with db.cursor() as cursor:
        cursor.executemany(BEGIN_WITH, turns)
