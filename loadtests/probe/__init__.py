"""`runner probe`: what becomes of somebody's own agent, seen as its clients see it.

`served` is a server process like that of `runner serve`; `server` starts, kills and restarts
one; `trials` and `memory` send turns to it; `judge` holds the replies against the history.
See docs/decisions/0028-what-a-probe-can-know.md.
"""
