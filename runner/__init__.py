"""The server around one agent."""


def __getattr__(name: str) -> str:
    # Asked for by few, and importlib.metadata takes half of the time that `--help` does.
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("turnline")
    except PackageNotFoundError:  # Run from a checkout that was not installed.
        return "0"
