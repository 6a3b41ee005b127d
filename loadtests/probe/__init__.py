"""`runner probe`: what overlapping turns do to somebody's own agent, and what protects it.

`trial` runs in a process of its own and says what it sees, line by line; `judge`
names what is wrong, by holding an overlapping trial against a serial one.
"""
