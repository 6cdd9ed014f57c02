"""Files: validation of paths, early checks of writability, and atomic writing."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
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
        replaceable_mode(path)
        trial = partial_path(os.path.realpath(path))
        try:
            with open(trial, "xb"):
                pass
        finally:
            _remove(trial)
    except OSError as error:
        raise OSError(error.errno, f"{name} cannot be written: {error.strerror or error}", path) from None
    return path


def replaceable_mode(path: str) -> int | None:
    """Permissions of the regular file at a path, or None if there is no file. Raise OSError for anything else."""
    if os.path.basename(path) in ("", ".", ".."):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file", path)
    return mode & 0o777


def partial_path(path: str) -> str:
    """A unique name in the same folder, for a file that is renamed when it is complete."""
    return os.path.join(os.path.dirname(path), f".{os.urandom(4).hex()}.partial")


def atomic_write(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file atomically; see `atomic_open`."""
    with atomic_open(path) as file:
        file.write(content)


@contextmanager
def atomic_open(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for atomic writing: at any moment, its name refers to the old content or to all of the new one.

    A replaced file keeps its permissions, and symbolic links are followed.

    Raises
    ------
    OSError
        If the file cannot be written. The old content is unchanged, unless the message says otherwise.
    """
    path = file_path("path", path)
    partial = ""
    try:
        mode = replaceable_mode(path)
        target = os.path.realpath(path)
        partial = partial_path(target)
        with open(partial, "xb", opener=_private if mode is not None else None) as file:
            if mode is not None and os.name == "posix":
                os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
    except BaseException as error:
        try:
            _remove(partial)
        except KeyboardInterrupt:  # Polars and Python may each raise one
            _remove(partial)
        if isinstance(error, OSError):
            reason = f"{error.strerror or error}; nothing was written, and the old content is unchanged"
            raise OSError(error.errno, reason, path) from None
        raise
    try:
        _flush_folder(os.path.dirname(target))  # the new name survives a crash only once the folder is on disk, too
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system without that operation
            reason = f"{error.strerror}; the file was written, but a crash of the system may restore the old one"
            raise OSError(error.errno, reason, path) from None


def open_regular(path: str) -> BinaryIO:
    """Open a regular file for reading. Raise OSError for anything else, without blocking on a named pipe."""
    file = open(path, "rb", opener=_nonblocking)  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a regular file", path)
    return file


def _remove(path: str) -> None:
    if os.path.exists(path):
        os.unlink(path)


def _private(path: str, flags: int) -> int:
    """Opener of new files that only the owner can read until their permissions are set."""
    return os.open(path, flags, 0o600)


def _nonblocking(path: str, flags: int) -> int:
    """Opener that does not block on a named pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _flush_folder(path: str) -> None:
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
