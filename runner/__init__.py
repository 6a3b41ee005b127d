"""The server around one agent."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("turnline")
except PackageNotFoundError:  # Run from a checkout that was not installed.
    __version__ = "0"
