"""Files: validation of paths, early checks of writability, and atomic writing."""

import errno
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

DESCRIPTORS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}


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


def writable_path(name: str, value: Any, *, special: bool = False) -> str:
    """Check that a file can be created or replaced, by creating another one in its folder; return its path.

    Open descriptors, such as /dev/stdout, and character devices are refused unless `special`.
    """
    path = file_path(name, value)
    if os.path.isdir(path):
        raise IsADirectoryError(f"{name} is {path!r}, a folder; it must be a file")
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise FileNotFoundError(f"{name} is {path!r}; its folder does not exist")
    try:
        old = existing_file(path)
        if not is_special(path, old):
            if old is not None:
                _check_replaceable(path, old)
            trial = partial_path(os.path.realpath(path))
            try:
                with open(trial, "xb"):
                    pass
            finally:
                _remove(trial)
        elif not special:
            raise OSError(errno.EINVAL, "not a regular file", path)
        elif (descriptor := descriptor_of(path)) is not None:
            os.write(descriptor, b"")
        else:
            _open_special(path).close()
    except OSError as error:
        raise OSError(error.errno, f"{name} cannot be written: {error.strerror or error}", path) from None
    return path


def existing_file(path: str) -> os.stat_result | None:
    """Status of the file at a path, or None if there is none. Raise OSError if it cannot be written to."""
    if os.path.basename(path) in ("", ".", ".."):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not (stat.S_ISREG(status.st_mode) or is_special(path, status)):
        raise OSError(errno.EINVAL, "not a regular file", path)
    return status


def descriptor_of(path: str) -> int | None:
    """The open descriptor that a path such as /dev/stdout names, or None.

    A regular file opened again by such a name would have a position of its own, and overwrite what follows.
    """
    path = os.path.abspath(path)
    if path in DESCRIPTORS:
        return DESCRIPTORS[path]
    found = re.fullmatch("(?:/dev|/proc/self)/fd/([0-9]{1,9})", path)
    return None if found is None else int(found[1])


def is_special(path: str, status: os.stat_result | None) -> bool:
    """Whether a path names an open descriptor or a character device, which are written to and never replaced."""
    return descriptor_of(path) is not None or (status is not None and stat.S_ISCHR(status.st_mode))


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

    A replaced file keeps its permissions and, where the system permits it, owner and group; symbolic links are
    followed. Some files cannot be replaced, and so are not written atomically: one that has several hard links or is a
    mount point is overwritten with the complete new content; open descriptors, such as /dev/stdout, and character
    devices receive it as it comes.

    Raises
    ------
    OSError
        If the file cannot be written. The old content is unchanged, unless the message says otherwise.
    """
    path = file_path("path", path)
    partial = ""
    try:
        old = existing_file(path)
        special = is_special(path, old)
        if not special:
            target = os.path.realpath(path)
            partial = partial_path(target)
            with open(partial, "xb", opener=_private if old is not None else None) as file:
                if old is not None and os.name == "posix":
                    _copy_permissions(file.fileno(), old)
                yield file
                file.flush()
                os.fsync(file.fileno())
            replaced = _replace(partial, target, old)
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
        if special:
            with _open_special(path) as file:
                yield file
        elif replaced:
            _flush_folder(os.path.dirname(target))
        else:
            _overwrite(target, partial)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), path) from None


def open_regular(path: str) -> BinaryIO:
    """Open a regular file for reading. Raise OSError for anything else, without blocking on a named pipe."""
    file = open(path, "rb", opener=_nonblocking)  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a regular file", path)
    return file


def _check_replaceable(path: str, old: os.stat_result) -> None:
    """Raise OSError if an existing file can be neither replaced nor overwritten."""
    try:
        os.close(os.open(path, os.O_WRONLY))
    except OSError as error:
        folder = os.stat(os.path.dirname(os.path.realpath(path)))
        # in a folder like /tmp, only these users can replace a file
        kept = folder.st_mode & stat.S_ISVTX and os.geteuid() not in (0, folder.st_uid, old.st_uid)
        # a file that is only without write permission can be replaced, an immutable or mounted one cannot
        if kept or old.st_nlink > 1 or error.errno in (errno.EPERM, errno.EROFS):
            raise


def _copy_permissions(descriptor: int, old: os.stat_result) -> None:
    """Give a new file the permissions of the old one, and its owner and group if the system permits it."""
    mode = old.st_mode & 0o777
    new = os.fstat(descriptor)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        try:
            os.fchown(descriptor, old.st_uid, old.st_gid)
        except OSError:
            try:
                os.fchown(descriptor, -1, old.st_gid)
            except OSError:  # another group has no more rights than everybody
                mode = mode & 0o707 | (mode & 0o007) << 3
    os.fchmod(descriptor, mode)


def _replace(partial: str, target: str, old: os.stat_result | None) -> bool:
    """Rename a complete file to its name; return False if the old one has to be overwritten."""
    if old is not None and old.st_nlink > 1:
        return False
    try:
        os.replace(partial, target)
    except OSError as error:
        # EBUSY: a mount point. EPERM: a file of another user in a folder like /tmp
        if old is None or error.errno not in (errno.EBUSY, errno.EPERM):
            raise
        return False
    return True


def _overwrite(target: str, partial: str) -> None:
    """Overwrite a file with the content of another one, which is removed unless that fails."""
    try:
        with open(partial, "rb") as new, open(target, "r+b") as file:
            shutil.copyfileobj(new, file)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}; the new content is in {partial}") from None
    _remove(partial)


def _open_special(path: str) -> BinaryIO:
    """Open a device, or the open file behind a name such as /dev/stdout at its position."""
    if (descriptor := descriptor_of(path)) is None:
        return os.fdopen(os.open(path, os.O_WRONLY), "wb")
    if sys.stdout is not None:
        sys.stdout.flush()
    return os.fdopen(os.dup(descriptor), "wb")


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
    """Flush a folder: a new name in it survives a crash of the system only then."""
    if hasattr(os, "O_DIRECTORY"):
        try:
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            # EACCES: a folder that cannot be read. EINVAL: a file system without that operation
            if error.errno not in (errno.EACCES, errno.EINVAL):
                reason = f"{error.strerror}; the file was written, but a crash of the system may restore the old one"
                raise OSError(error.errno, reason) from None
