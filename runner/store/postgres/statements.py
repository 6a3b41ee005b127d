"""What the store asks of the tables in `migrations`."""

from __future__ import annotations

STANDS = """
    SELECT coalesce(c.last, 0) AS last, s.form, s.state, s.requests, s.before
    FROM (SELECT %(id)s::text AS id) AS asked
    LEFT JOIN turnline_conversations AS c ON c.id = asked.id
    LEFT JOIN turnline_agent_states AS s ON s.conversation = asked.id AND s.form = %(form)s
"""

LATELY = """
    SELECT message, reply FROM (
        SELECT number, message, reply,
        sum(octet_length(message) + octet_length(reply)) OVER (ORDER BY number DESC) AS bytes
        FROM turnline_turns WHERE conversation = %(id)s ORDER BY number DESC LIMIT %(most)s
    ) AS last WHERE bytes <= %(bytes)s ORDER BY number
"""
"""The last turns that have so many bytes together; the length of a long text is not read."""

OWN = """
    FROM turnline_conversations
    WHERE id >= %(first)s AND id < %(last)s AND strpos(substr(id, %(start)s), '/') = 0
"""
SOME = f"SELECT id, last {OWN} ORDER BY id LIMIT %(limit)s"
COUNT = f"SELECT count(*) AS total {OWN}"

IS_IDLE = """
    c.last_at < %(since)s AND (
        SELECT created_at FROM turnline_turns
        WHERE conversation = c.id ORDER BY number DESC LIMIT 1
    ) < %(since)s AND NOT EXISTS (
        SELECT 1 FROM turnline_accepted
        WHERE conversation = c.id AND (state IS NULL OR accepted_at >= %(since)s)
    )
"""
"""Of a row `c` of the conversations."""

IDLE = f"""
    SELECT id FROM turnline_conversations AS c WHERE {IS_IDLE} ORDER BY last_at LIMIT %(most)s
"""
HOLD_IDLE = f"""
    SELECT 1 AS held FROM turnline_conversations AS c WHERE id = %(id)s AND {IS_IDLE} FOR UPDATE
"""

FORGET = (
    "DELETE FROM turnline_conversations WHERE id = %s",
    "DELETE FROM turnline_turns WHERE conversation = %s",
    "DELETE FROM turnline_merged WHERE conversation = %s",
    "DELETE FROM turnline_agent_states WHERE conversation = %s",
    "DELETE FROM turnline_accepted WHERE conversation = %s AND state IS NOT NULL",
)
"""The conversation's row first: it is what a commit holds."""

ACCEPT = """
    INSERT INTO turnline_accepted (
        id, conversation, message, accepted_at, deadline_at, priority, strategy, more,
        key, digest, attempts, webhook, request_id, traceparent, lasting
    ) VALUES (
        %(id)s, %(conversation)s, %(message)s, %(accepted_at)s, %(deadline_at)s, %(priority)s,
        %(strategy)s, %(more)s, %(key)s, %(digest)s, %(attempts)s, %(webhook)s, %(request_id)s,
        %(traceparent)s, %(lasting)s
    )
"""

END = """
    UPDATE turnline_accepted SET state = %(state)s, number = %(number)s, cause = %(cause)s,
    detail = %(detail)s, outcome = %(outcome)s, retry_after_s = %(retry_after_s)s,
    waited_s = %(waited_s)s, ran_s = %(ran_s)s, message = '', more = NULL
    WHERE id = %(id)s AND state IS NULL
"""

OF_ACCEPTED = """
    id, conversation, accepted_at, deadline_at, priority, strategy, key, digest, attempts,
    webhook, request_id, traceparent, state, number, cause, detail, outcome, retry_after_s,
    waited_s, ran_s
"""

ROWS = f"SELECT ''::bytea AS message, {OF_ACCEPTED} FROM turnline_accepted"
"""Without what was asked."""

OF_HISTORY = """
    ''::bytea AS message, created_at AS accepted_at, t.state, t.number,
    t.reply, t.output, t.requests
"""

FIND_ACCEPTED = """
    SELECT a.*, t.reply, t.output, t.requests FROM turnline_accepted AS a
    LEFT JOIN turnline_turns AS t ON t.conversation = a.conversation AND t.number = a.number
    WHERE a.id = %(id)s
"""
FIND_IN_HISTORY = f"""
    SELECT t.id, t.conversation, {OF_HISTORY} FROM turnline_turns AS t WHERE t.id = %(id)s
    UNION ALL
    SELECT m.id, m.conversation, {OF_HISTORY} FROM turnline_merged AS m
    JOIN turnline_turns AS t ON t.conversation = m.conversation AND t.number = m.number
    WHERE m.id = %(id)s
"""
"""An id is either a turn's or one's that was merged into another."""

EVERY = """
    WITH answered AS (
        SELECT created_at AS at, number, id FROM turnline_turns
        WHERE conversation = %(conversation)s
    ), every AS (
        SELECT at, number, id FROM answered UNION ALL
        SELECT a.at, a.number, m.id FROM turnline_merged AS m JOIN answered AS a USING (number)
        WHERE m.conversation = %(conversation)s UNION ALL
        SELECT accepted_at, 0, id FROM turnline_accepted
        WHERE conversation = %(conversation)s AND state IS NOT NULL AND coalesce(number, 0) = 0
    )
"""
LATEST = f"""
    {EVERY} SELECT at, number, id FROM every
    WHERE (at, number, id) < (%(at)s::float8, %(number)s::bigint, %(id)s::text)
    ORDER BY at DESC, number DESC, id DESC LIMIT %(most)s
"""
TOTAL = f"{EVERY} SELECT count(*) AS total FROM every"

SURPLUS = """
    SELECT sequence FROM turnline_accepted WHERE state IS NOT NULL AND (
        accepted_at < %(before)s OR NOT lasting
        AND accepted_at + coalesce(waited_s, 0) + coalesce(ran_s, 0) + %(heard_s)s
        < extract(epoch FROM clock_timestamp())
    )
    UNION ALL
    (SELECT sequence FROM (
        SELECT sequence, row_number() OVER (
            PARTITION BY left(conversation, strpos(conversation, '/'))
            ORDER BY accepted_at DESC, sequence DESC
        ) AS place FROM turnline_accepted
        WHERE state IS NOT NULL AND accepted_at >= %(before)s AND lasting
    ) AS newest_of_each ORDER BY place, sequence DESC OFFSET %(most)s)
"""
