"""The HTTP server in this process: it listens, serves, drains and ends.

`server.py` owns start and end. `hypercorn.py` and `uvicorn.py` carry the bytes, one at a
time, and are the only modules that know their libraries.

Why not `hypercorn module:app` or `uvicorn module:app`: Hypercorn's one worker is a forked
child that outlives its killed parent, and neither can drain. Here the process that gets the
signal is the process that serves.
"""
