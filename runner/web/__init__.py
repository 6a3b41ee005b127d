"""The web page, and what it is told."""
