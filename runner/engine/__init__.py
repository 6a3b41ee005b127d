"""The queue over many machines: a turn is accepted by any process on one Postgres, and run by any.

Procrastinate carries the turns: a job for each, whose `lock` is the conversation, so that one of
them runs at a time and in order. Start at `sharing`. What is ours beside it:

line.sql      bounds and order of lines (`turnline_admit`), who runs what, hand-over.
worker.py     this process fetches turns, and says that it lives.
store.py      a turn's reply, its history and the right to run it, in one transaction.
strategy.py   runs what was fetched in the engine that one process has, too.
news.py       what becomes of turns elsewhere; channel.py: NOTIFY; telling.py: pieces of replies.
places.py     where turns stand that wait. figures.py: what all processes do.
gone.py       what processes have left that are gone.
"""
