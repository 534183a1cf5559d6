import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from pose_extract import files
from pose_extract.errors import OutputError
from pose_extract.files import (
    _clear,
    complete_or_absent,
    place_beside,
    scratch_folder,
    swap_folders,
    write_atomically,
)

_HOLD = """
import sys, time
from pathlib import Path
from pose_extract.files import complete_or_absent
with complete_or_absent(Path(sys.argv[1])) as file:
    file.write("half")
    file.flush()
    print("open", flush=True)
    time.sleep(60)
"""


def hold(path):
    child = subprocess.Popen([sys.executable, "-c", _HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "open\n"
    return child


def end(child):
    child.kill()
    child.wait()
    child.stdout.close()


def test_a_link_stays_a_link_and_its_target_has_the_new_content(tmp_path):
    target, link = tmp_path / "real" / "a.csv", tmp_path / "a.csv"
    target.parent.mkdir()
    target.write_text("old")
    link.symlink_to("real/a.csv")
    write_atomically(link, b"new")
    assert (link.is_symlink(), target.read_text()) == (True, "new")
    assert os.listdir(target.parent) == ["a.csv"]


def test_a_link_that_leads_round_in_a_circle_stays_and_is_an_error(tmp_path):
    loop = tmp_path / "loop.csv"
    loop.symlink_to("loop.csv")
    with pytest.raises(OutputError, match="Too many levels of symbolic links"):
        write_atomically(loop, b"new")
    assert os.listdir(tmp_path) == ["loop.csv"]
    assert loop.is_symlink()


def test_a_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(0o640)
    write_atomically(path, b"new")
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_pipe_is_written_directly(tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_atomically(pipe, b"rows")
    reader.join(10)
    assert (read, pipe.is_fifo()) == ([b"rows"], True)


def test_a_device_stays_a_device():
    write_atomically(Path("/dev/null"), b"rows")
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_is_written_directly_even_where_it_is_a_file(tmp_path, name):
    code = (
        "import sys; from pathlib import Path; from pose_extract.files import write_atomically\n"
        "write_atomically(Path(sys.argv[1]), b'rows')"
    )
    with open(tmp_path / "out", "wb") as out:
        out.write(b"before ")
        out.flush()
        subprocess.run([sys.executable, "-c", code, name], stdout=out, check=True)
    assert (tmp_path / "out").read_bytes() == b"before rows"


def test_two_that_write_one_file_at_once_leave_the_whole_file_of_the_last_one(tmp_path):
    path = tmp_path / "a.csv"
    with complete_or_absent(path) as one:
        one.write("one" * 1000)
        with complete_or_absent(path) as two:
            two.write("two")
        assert path.read_text() == "two"
    assert path.read_text() == "one" * 1000
    assert os.listdir(tmp_path) == ["a.csv"]


def test_what_a_killed_run_left_is_cleared_and_what_a_living_one_writes_is_not(tmp_path):
    path = tmp_path / "a.csv"
    killed = hold(path)
    end(killed)
    living = hold(path)  # which clears what the killed one left
    try:
        assert len(list(tmp_path.iterdir())) == 1
        _clear.cache_clear()
        write_atomically(tmp_path / "b.csv", b"")
        assert len(list(tmp_path.iterdir())) == 2
    finally:
        end(living)
    _clear.cache_clear()
    write_atomically(path, b"whole")
    assert sorted(os.listdir(tmp_path)) == ["a.csv", "b.csv"]


@pytest.mark.parametrize("length", [1, 200, 251, 255])
def test_any_name_that_a_file_may_have_can_be_written(tmp_path, length):
    write_atomically(tmp_path / ("n" * length), b"x")
    assert os.listdir(tmp_path) == ["n" * length]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), complete_or_absent(path) as file:
        file.write("new")
        raise ZeroDivisionError
    assert (os.listdir(tmp_path), path.read_text()) == (["a"], "old")


def test_a_temporary_file_that_is_not_put_in_place_is_removed(tmp_path):
    with place_beside(tmp_path / "a") as (partial, _):
        partial.write_text("x")
    assert os.listdir(tmp_path) == []


def test_folders_change_places_at_once(tmp_path):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
    swap_folders(tmp_path / "new", tmp_path / "old")
    assert [str(p.relative_to(tmp_path)) for p in sorted(tmp_path.rglob("*"))] == ["old", "old/new"]


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_a_command_that_is_told_to_end_clears_what_it_began(tmp_path, sent, code):
    program = """
import signal, sys, time
from argparse import Namespace
from pathlib import Path
import pipeline.commands.info as info
from pipeline.cli import main
from pose_extract.files import complete_or_absent, scratch_folder
def run(args):
    with scratch_folder(), complete_or_absent(args.workspace / "a.csv") as file:
        print("open", flush=True)
        time.sleep(60)
info.run = run
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored where the tests run in the background
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main(["info", "--workspace", sys.argv[1]]))
"""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "work")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(scratch)},
    )
    assert child.stdout.readline() == "open\n"
    child.send_signal(sent)
    _, errors = child.communicate(timeout=30)
    assert child.returncode == code
    assert len(errors.splitlines()) == 1
    assert "what was finished is kept" in errors
    assert list(scratch.iterdir()) == []
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_scratch_folder_clears_what_killed_runs_left_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    program = "import os\nfrom pose_extract.files import scratch_folder\nwith scratch_folder(): os._exit(1)"
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "TMPDIR": str(tmp_path)}, check=False)
    (left,) = tmp_path.iterdir()
    kept = [
        tmp_path / name for name in ("gepc-workspace", "gepc-watch", "gepc-", ".scratch", "notes.gepc-part")
    ]
    for folder in kept:  # of the user, or of another program
        folder.mkdir()
        (folder / "a").write_text("a")
    with scratch_folder() as other, scratch_folder() as own:
        assert own != other
        assert other.is_dir()
        assert not left.exists()
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    assert all((folder / "a").read_text() == "a" for folder in kept)


@pytest.mark.parametrize("there_still", [True, False], ids=["in another's hand", "gone"])
def test_what_another_process_clears_between_making_and_locking_is_made_again(
    tmp_path, monkeypatch, there_still
):
    """Who clears a folder cannot tell a temporary name that is not locked yet from one that a killed run left."""
    lock, taken = files._lock, []

    def taken_first(path):
        if len(taken) % 2 == 0:  # the first of each kind
            taken.append(path)
            if there_still:
                raise BlockingIOError
            os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
        else:
            taken.append(path)
        return lock(path)

    monkeypatch.setattr(files, "_lock", taken_first)
    with files.folder_beside(tmp_path / "x") as folder:
        assert folder.is_dir()
        assert str(folder) != str(taken[0])
    with files.place_beside(tmp_path / "y") as (partial, put):
        assert partial.is_file()
        assert str(partial) != str(taken[2])
        put()
    assert len(taken) == 4
