"""Locks between processes: only one process at a time writes to a folder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from fashionai.errors import FashionAIError

log = logging.getLogger(__name__)

# The file that is locked. It lies in the folder and is deleted when the lock is released.
LOCK_FILE = ".lock"
# The errors of file systems without locks, such as some network drives.
WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)
# is_locked holds the lock for some microseconds: only a lock that is held for longer is busy.
SECONDS_TO_RETRY, SECONDS_BETWEEN_TRIES = 0.1, 0.005


@contextlib.contextmanager
def locked(file: Path, busy: FashionAIError) -> Iterator[None]:
    """Hold a lock while in this context; raises ``busy`` when another process holds it.

    ``file`` is the lock file, in a folder that exists. The kernel releases the lock of a killed
    process. On a file system without locks a warning is logged and the work goes on.
    """
    descriptor = _acquire(file)
    if descriptor is None:
        raise busy
    try:
        yield
    finally:
        # Deleted before it is unlocked: otherwise another process could lock it in between, and
        # its lock file would be deleted.
        with contextlib.suppress(FileNotFoundError):
            file.unlink()
        os.close(descriptor)


def is_locked(file: Path) -> bool:
    """Whether another process holds the lock of a file. A missing file is not locked.

    Also for files that this user may only read. On a file system without locks no file is locked.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that several processes that ask do not take each other for the owner.
        return _flock(descriptor, fcntl.LOCK_SH) is False
    finally:
        os.close(descriptor)


def _acquire(file: Path) -> Optional[int]:
    """The descriptor of the locked file; None when another process holds the lock."""
    end = time.monotonic() + SECONDS_TO_RETRY
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            is_ours = _lock(descriptor, file)
            # Another process can have deleted the file since it was opened, and a third one could
            # create and lock a new one.
            if is_ours and _is_file_of(descriptor, file):
                return descriptor
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if not is_ours:
            if time.monotonic() >= end:
                return None
            time.sleep(SECONDS_BETWEEN_TRIES)


def _lock(descriptor: int, file: Path) -> bool:
    """Try to lock an open file; False when another process holds the lock.

    True on a file system without locks, after a warning.
    """
    taken = _flock(descriptor, fcntl.LOCK_EX)
    if taken is None:
        log.warning(
            "%s: its file system has no locks: do not let two commands write there at once",
            file.parent,
        )
    return taken is not False


def _flock(descriptor: int, kind: int) -> Optional[bool]:
    """Whether a lock of this kind could be taken; None on a file system without locks."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
        return None
    return True


def _is_file_of(descriptor: int, file: Path) -> bool:
    """Whether the open file still has this path."""
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False
