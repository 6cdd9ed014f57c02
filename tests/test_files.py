"""Files: paths are checked before the work, and a file is replaced by a complete new one or not at all."""

import errno
import os
import stat
import sys
import tempfile
from pathlib import Path

import pytest

from cbackprop.files.atomic import atomic_open, atomic_write, writable_path


@pytest.mark.parametrize("path", ["a", b"a", Path("a"), os.fsencode("é"), "~"])
def test_paths(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    assert writable_path("output", path) == os.fsdecode(path)
    assert os.listdir() == []
    atomic_write(path, b"new")
    assert writable_path("output", path) == os.fsdecode(path)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [(os.fsdecode(path), b"new")]


@pytest.mark.parametrize(
    ("path", "error", "reported"),
    [
        *((value, TypeError, "output is .*; it must be a path") for value in (None, 1, 1.5, ["a"])),
        *((value, ValueError, "output is .*; no file can have this name") for value in ("a\0b", b"a\0b", "\ud800")),
        ("folder", IsADirectoryError, "output is 'folder', a folder; it must be a file"),
        ("missing/file", FileNotFoundError, "output is 'missing/file'; its folder does not exist"),
        ("", IsADirectoryError, "output cannot be written: Is a directory"),
        pytest.param(
            "/dev/null",
            OSError,
            "output cannot be written: not a regular file: '/dev/null'",
            marks=pytest.mark.skipif(not Path("/dev/null").exists(), reason="no such device"),
        ),
    ],
)
def test_paths_that_cannot_be_written(tmp_path, monkeypatch, path, error, reported):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(error, match=reported):
        writable_path("output", path)
    with pytest.raises(error):
        atomic_write(path, b"new")
    assert os.listdir() == ["folder"]


def test_readers_of_the_old_file_are_not_disturbed(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with path.open("rb") as reader, atomic_open(path) as file:
        file.write(b"new")
        file.flush()
        assert (path.read_bytes(), reader.read()) == (b"old", b"old")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(os.name != "posix", reason="files have no such modes here")
@pytest.mark.parametrize("mode", [0o600, 0o444, 0o640, 0o666])
def test_replacing_keeps_the_mode(tmp_path, monkeypatch, mode):
    path, seen = tmp_path / "file", []
    atomic_write(path, b"old")
    path.chmod(mode)

    def fchmod(descriptor, mode, do=os.fchmod):
        seen.append((stat.S_IMODE(os.fstat(descriptor).st_mode), os.fstat(descriptor).st_size))
        do(descriptor, mode)

    monkeypatch.setattr(os, "fchmod", fchmod)
    atomic_write(path, b"new")
    assert (stat.S_IMODE(path.stat().st_mode), path.read_bytes()) == (mode, b"new")
    assert seen == [(0o600, 0)]  # never readable by others who cannot read the old one


@pytest.mark.skipif(os.name != "posix", reason="files have no owners here")
@pytest.mark.parametrize(
    ("permitted", "owner", "mode"),
    [("all", (1234, 2345), 0o664), ("group", (None, 2345), 0o664), ("none", (None, None), 0o644)],
)
def test_replacing_keeps_owner_and_group_where_permitted(tmp_path, monkeypatch, permitted, owner, mode):
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    path = tmp_path / "file"
    atomic_write(path, b"old")
    path.chmod(0o664)
    ours = os.geteuid(), path.stat().st_gid
    os.chown(path, 1234, 2345)

    def fchown(descriptor, user, group, do=os.fchown):
        if permitted == "none" or (permitted == "group" and user != -1):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        do(descriptor, user, group)

    monkeypatch.setattr(os, "fchown", fchown)
    atomic_write(path, b"new")
    found = path.stat()
    assert (found.st_uid, found.st_gid) == tuple(a if a is not None else b for a, b in zip(owner, ours, strict=True))
    assert stat.S_IMODE(found.st_mode) == mode  # another group has the rights of everybody


@pytest.fixture
def user(python):
    """A folder, and a function that runs code in it as a user whom permissions bind."""
    if os.name != "posix":
        pytest.skip("files have no such modes here")
    become = "os.setgroups([]); os.setgid(65534); os.setuid(65534)" if os.geteuid() == 0 else ""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # TMPDIR may be in a folder of this user alone

        def run(code):
            start = f"import os; from cbackprop.files.atomic import atomic_write, writable_path; os.chdir({folder!r})"
            return python(f"{start}; {become}\n{code}")

        yield Path(folder), run


def test_a_folder_that_can_be_written_and_not_read(user):
    folder, run = user
    folder.chmod(0o333)
    done = run("atomic_write(writable_path('output', 'file'), b'new')")
    folder.chmod(0o700)
    assert done.returncode == 0, done.stderr
    assert [path.read_bytes() for path in folder.iterdir()] == [b"new"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_another_name_of_the_file_keeps_the_old_content(tmp_path):
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"old")
    os.link(path, link)
    atomic_write(path, b"new")
    assert (path.read_bytes(), link.read_bytes()) == (b"new", b"old")


@pytest.mark.skipif(os.name != "posix", reason="files have no such modes here")
def test_a_new_file_has_the_default_mode(tmp_path):
    before = os.umask(0o027)
    try:
        atomic_write(tmp_path / "file", b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
@pytest.mark.parametrize("old", [True, False])
def test_links_stay_links(tmp_path, old):
    link, target = tmp_path / "link", tmp_path / "folder" / "file"
    target.parent.mkdir()
    if old:
        target.write_bytes(b"old")
    link.symlink_to(Path("folder") / "file")
    atomic_write(link, b"new")
    assert (link.is_symlink(), target.read_bytes()) == (True, b"new")
    assert (os.listdir(target.parent), sorted(os.listdir(tmp_path))) == (["file"], ["folder", "link"])


@pytest.mark.parametrize("name", ["folder/", "folder/.", "folder/.."])
def test_a_folder_is_not_replaced(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(IsADirectoryError, match="nothing was written"):
        atomic_write(name, b"new")
    assert os.listdir() == []


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), ZeroDivisionError()], ids=repr)
def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch, call, error):
    path = tmp_path / "file"
    atomic_write(path, b"old")

    def fail(*arguments):
        raise error

    def write():
        with atomic_open(path) as file:
            file.write(b"ne")
            if call == "write":
                fail()

    if call != "write":
        monkeypatch.setattr(os, call, fail)
    with pytest.raises(type(error)) as caught:
        write()
    if isinstance(error, OSError):
        reported = "full; nothing was written, and the old content is unchanged"
        assert (caught.value.errno, caught.value.strerror) == (errno.ENOSPC, reported)
        assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_writes_are_durable(tmp_path, monkeypatch):
    # content before name, name before return: otherwise a power failure leaves an empty file, or the old one
    done = []

    def fsync(descriptor):
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else os.fstat(descriptor).st_size)

    def replace(old, new, do=os.replace):
        assert os.path.dirname(old) == os.path.dirname(new) == str(tmp_path)
        do(old, new)
        done.append("name")

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    atomic_write(tmp_path / "file", b"new")
    assert done[:2] == [3, "name"]
    assert done[2:] == (["folder"] if hasattr(os, "O_DIRECTORY") else [])


@pytest.mark.skipif(not hasattr(os, "O_DIRECTORY"), reason="folders are not flushed here")
@pytest.mark.parametrize("number", [errno.EINVAL, errno.EACCES, errno.EIO])
def test_a_folder_that_cannot_be_flushed(tmp_path, monkeypatch, number):
    def fsync(descriptor, do=os.fsync):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        do(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    if number != errno.EIO:  # some file systems do not support it, and some folders cannot be read
        atomic_write(tmp_path / "file", b"new")
    else:
        with pytest.raises(
            OSError, match="Input/output error; the file was written, but a crash of the system may restore the old one"
        ):
            atomic_write(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
