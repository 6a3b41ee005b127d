"""A client of a running server, for Python programs: `from turnline import Client`.

What is sent, what an answer means and what is tried again stands once, without I/O, in
`exchange.py`; `sync.py` and `aio.py` carry it over httpx. Nothing of the server is imported.
"""
