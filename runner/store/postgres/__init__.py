"""What is kept in a Postgres server; needs the extra `postgres`."""

from __future__ import annotations

from runner.store.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
