"""Atomic writes: paths are checked before the work, and a file is replaced by a complete new one or not at all."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO


def file_path(name: str, value: Any) -> str:
    """Convert a path to a string that the operating system accepts."""
    try:
        path = os.fsdecode(value)
        if b"\0" in os.fsencode(path):
            raise ValueError
    except TypeError:
        raise TypeError(f"{name} is {value!r}; it must be a path") from None
    except ValueError:
        raise ValueError(f"{name} is {value!r}; no file can have this name") from None
    return path


def writable_path(name: str, value: Any) -> str:
    """Check that a file can be created or replaced, by creating another one in its folder; return its path."""
    path = file_path(name, value)
    if os.path.isdir(path):
        raise IsADirectoryError(f"{name} is {path!r}, a folder; it must be a file")
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise FileNotFoundError(f"{name} is {path!r}; its folder does not exist")
    try:
        existing_file(path)
        with _new_file(os.path.realpath(path)):
            pass
    except OSError as error:
        raise OSError(error.errno, f"{name} cannot be written: {error.strerror or error}", path) from None
    return path


def existing_file(path: str) -> os.stat_result | None:
    """Status of the file at a path, or None if there is none. Raise OSError for anything but a regular file."""
    status = None
    with suppress(FileNotFoundError):
        status = os.stat(path)
    if status is None and os.path.basename(path) not in ("", ".", ".."):
        return None
    if status is None or stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", path)
    return status


def atomic_write(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file atomically; see `atomic_open`."""
    with atomic_open(path) as file:
        file.write(content)


@contextmanager
def atomic_open(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for atomic writing: at any moment, its name refers to the old content or to all of the new one.

    A replaced file keeps its permissions and, where the system permits it, owner and group; symbolic links are
    followed. After an OSError, the old content is unchanged, unless the message says otherwise.
    """
    path, result = file_path("path", path), "nothing was written, and the old content is unchanged"
    try:
        old = existing_file(path)
        target = os.path.realpath(path)
        with _new_file(target, private=old is not None) as file:
            if old is not None and os.name == "posix":
                _copy_permissions(file.fileno(), old)
            yield file
            file.flush()
            os.fsync(file.fileno())
            file.close()
            os.replace(file.name, target)
        result = "the file was written, but a crash of the system may restore the old one"
        _flush_folder(os.path.dirname(target))
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror or error}; {result}", path) from None


@contextmanager
def _new_file(path: str, *, private: bool = False) -> Iterator[BinaryIO]:
    """Create a file beside another one, which is removed unless it was renamed; only the owner can read a private one.

    The name is chosen before the file exists, so that an interrupt leaves none behind.
    """
    new = Path(os.path.dirname(path), f".{os.urandom(4).hex()}.partial")
    try:
        with open(new, "xb", opener=partial(os.open, mode=0o600) if private else None) as file:
            yield file
    finally:
        try:
            new.unlink(missing_ok=True)
        except KeyboardInterrupt:  # a second one: Polars and Python may each raise one
            new.unlink(missing_ok=True)
            raise


def _copy_permissions(descriptor: int, old: os.stat_result) -> None:
    """Give a new file the permissions of the old one, and its owner and group if the system permits it."""
    mode = old.st_mode & 0o777
    for owner in (old.st_uid, -1):  # -1: as it is
        try:
            os.fchown(descriptor, owner, old.st_gid)
            break
        except OSError:
            continue
    else:  # another group has no more rights than everybody
        mode = mode & 0o707 | (mode & 0o007) << 3
    os.fchmod(descriptor, mode)


def _flush_folder(path: str) -> None:
    """Flush a folder: a new name in it survives a crash of the system only then."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EINVAL):  # no read permission; no such operation of the file system
            raise
