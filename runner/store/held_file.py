"""The file of a SQLite store, and that no second process writes it, by whatever name.

The lock stands in the file itself (`flock` on its inode), so a symbolic or hard link leads
to the same lock, and there is no lock file to remove. SQLite's own locks are of another kind
(`fcntl`): a backup beside the server is let in. Closing a descriptor drops all `fcntl` locks
that its process has on the file, so the one here is closed after all of SQLite's, and no
second one is opened for a file that this process holds.
"""

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import suppress
from pathlib import Path

from runner.store.base import StoreInUse

Inode = tuple[int, int]

SUFFIXES = ("", "-wal", "-shm")
"""Of the files that SQLite keeps a database in while it is open."""

_held: set[Inode] = set()
"""Files that this process holds."""


class FileReplaced(OSError):
    """was removed or replaced while the server had it open. Restart the server."""


class HeldFile:
    """The database file at `path`, which is held from `take` until `release`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._is_new = False
        self._inode: Inode | None = None
        self._watched: dict[str, Inode | None] = {}

    def take(self) -> None:
        """Make the file if it is not there, and lock it. Raises StoreInUse, OSError."""
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"there is no folder {self.path.parent}; make it first")
        if _inode_of(self._lock_path) in _held:
            raise self._in_use()
        self._refuse_earlier_version()
        descriptor, is_new = _opened(self._lock_path)
        try:
            self._inode = self._lock(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        _held.add(self._inode)
        self._descriptor = descriptor
        self._is_new = is_new and self._lock_path == self.path

    def watch(self) -> None:
        """SQLite has opened the file, and it stays the one that it is now."""
        self._is_new = False
        names = [f"{self.path}{suffix}" for suffix in SUFFIXES]
        self._watched = {name: _inode_of(name) for name in names}

    def check(self) -> None:
        """Raises FileReplaced: SQLite would go on with what was removed, and all would be lost."""
        for name, inode in self._watched.items():
            if _inode_of(name) != inode:
                raise FileReplaced(f"{name} {FileReplaced.__doc__}")

    def release(self) -> None:
        """Let others have the file, which goes if it was made for nothing; twice does no harm."""
        if self._is_new:
            self._is_new = False
            with suppress(OSError):
                self.path.unlink()
        self.leave()

    def leave(self) -> None:
        """Drop the lock. A child that was forked does: it must not keep it when we are killed."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._inode is not None:
            _held.discard(self._inode)
            self._inode = None

    @property
    def _lock_path(self) -> Path:
        # On other systems `flock` and `fcntl` exclude each other, and SQLite would be locked out.
        return self.path if sys.platform == "linux" else Path(f"{self.path}.lock")

    def _lock(self, descriptor: int) -> Inode:
        self._flock(descriptor)
        about = os.fstat(descriptor)
        inode = about.st_dev, about.st_ino
        if _inode_of(self._lock_path) != inode:  # Since it was opened.
            raise FileReplaced(f"{self._lock_path} {FileReplaced.__doc__}")
        if about.st_nlink > 1:
            # Each name has a -wal of its own, and what stands in one is not seen by the other.
            raise OSError(
                "the file has a second name (a hard link), under which turns could be lost; "
                f"remove one (find -samefile {self.path.name} shows them)"
            )
        return inode

    def _flock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise self._in_use() from error

    def _refuse_earlier_version(self) -> None:
        """Servers of schema 3 and before hold a file beside this one; they refuse schema 4."""
        try:
            descriptor = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            self._flock(descriptor)
        finally:
            os.close(descriptor)

    def _in_use(self) -> StoreInUse:
        return StoreInUse(f"{self.path}: {StoreInUse.__doc__}")


def _opened(path: Path) -> tuple[int, bool]:
    """A descriptor, and whether the file is new."""
    flags = os.O_RDWR | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644), True
    except FileExistsError:
        return os.open(path, flags), False


def _inode_of(path: Path | str) -> Inode | None:
    try:
        about = os.stat(path)
    except OSError:
        return None
    return about.st_dev, about.st_ino
