"""Read small tables of text as programs and spreadsheets write them: CSV with commas, semicolons or tabs."""

from __future__ import annotations

import codecs
import csv
import io
import re
from pathlib import Path

from pose_extract.errors import FormatError
from pose_extract.files import open_input

_MOST_BYTES = 512 << 20
_SPREADSHEETS = {b"PK\x03\x04": "Excel's or LibreOffice's", b"\xd0\xcf\x11\xe0": "an old Excel's"}
_BETWEEN = {",": "commas", ";": "semicolons", "\t": "tabs"}
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_table(path: Path, most_bytes: int = _MOST_BYTES) -> list[tuple[int, list[str]]]:
    """(line number, cells) of each line that is not empty, without the blanks around cells.

    The first line tells what stands between cells: commas, semicolons or tabs. Where it is no comma, a comma in a
    number is its decimal point. Text is UTF-8, or UTF-16 with its mark.

    Raises:
        FormatError: it is missing, no table of text, or longer than ``most_bytes``.
    """
    try:
        with open_input(path) as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(data) > most_bytes:
        raise FormatError(f"{path}: expected at most {most_bytes >> 20} MiB; split the table")
    if data[:4] in _SPREADSHEETS:
        raise FormatError(
            f"{path} is a spreadsheet in {_SPREADSHEETS[data[:4]]} own format; save it as CSV and name that"
        )
    try:
        text = data.decode("utf-16" if data[:2] in _UTF16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise FormatError(
            f"{path}: expected a table of text, found bytes that are no text in UTF-8 or UTF-16 (of a spreadsheet, "
            "save it as CSV in UTF-8)"
        ) from None
    if "\0" in text:
        raise FormatError(f"{path}: expected a table of text, found bytes that are no text")
    first = next((line for line in text.splitlines() if line.strip()), "")
    between = max(_BETWEEN, key=first.count)
    try:
        reader = csv.reader(
            io.StringIO(text, newline=""), delimiter=between, skipinitialspace=True, strict=True
        )
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    except csv.Error as error:
        raise FormatError(
            f"{path}: expected a CSV, lines of values with {_BETWEEN[between]} between them: {error}"
        ) from None
    if between == ",":
        return rows
    return [(line, [re.sub(r"^(-?\d+),(\d+)$", r"\1.\2", cell) for cell in row]) for line, row in rows]
