"""Where the values of `runner/settings.py` come from, and what is said where they are wrong."""
