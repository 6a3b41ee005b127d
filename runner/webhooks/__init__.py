"""Tells another server what became of a turn: signed, again until it is taken, over restarts."""
