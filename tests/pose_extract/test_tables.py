"""Tables come as CSV of any locale, from spreadsheets too; what is none is told from them."""

import os

import pytest

from pose_extract.errors import FormatError
from pose_extract.tables import read_table

ROWS = [(1, ["clip", "start_s", "end_s"]), (2, ["walk9", "1.5", "2"])]


@pytest.mark.parametrize(
    "data",
    [
        b"clip,start_s,end_s\nwalk9,1.5,2\n",
        b"clip;start_s;end_s\r\nwalk9;1,5;2\r\n",
        b"clip\tstart_s\tend_s\nwalk9\t1,5\t2\n",
        b'"clip"; "start_s";end_s\nwalk9;1,5; 2\n',
        "\ufeffclip,start_s,end_s\nwalk9,1.5,2".encode(),
        "clip;start_s;end_s\nwalk9;1,5;2\n".encode("utf-16"),
        "clip\tstart_s\tend_s\nwalk9\t1,5\t2\n".encode("utf-16-be").join([b"\xfe\xff", b""]),
    ],
)
def test_what_stands_between_cells_and_how_text_is_coded_does_not_matter(tmp_path, data):
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    assert read_table(path) == ROWS


def test_a_comma_in_a_name_is_no_decimal_point(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("clip;note\na,b;3,x\n")
    assert read_table(path)[1] == (2, ["a,b", "3,x"])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\x03\x04rest", "save it as CSV"),
        (b"\xd0\xcf\x11\xe0rest", "save it as CSV"),
        (b"\xff\xfe\x00", "no text"),
        (b"caf\xe9,1\n", "UTF-8"),
        (b"a\0b,c\n", "no text"),
        (b'"a,b\n', "lines of values with commas"),
    ],
)
def test_what_is_no_table_is_said(tmp_path, data, said):
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=said):
        read_table(path)


def test_pipes_and_devices_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    for name in ("pipe.csv", "zero.csv", "loop.csv", "missing.csv"):
        with pytest.raises(FormatError, match="cannot be read"):
            read_table(tmp_path / name)
    with pytest.raises(FormatError, match="at most 0 MiB"):
        (tmp_path / "long.csv").write_text("a" * 100)
        read_table(tmp_path / "long.csv", most_bytes=99)
