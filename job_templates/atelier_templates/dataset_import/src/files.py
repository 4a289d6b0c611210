"""CSV files as people have them."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import step
import tabular

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
_PACKED = b"\x1f\x8b"


def read(file: Path, given: dict[str, Any]) -> pd.DataFrame:
    """The table in a CSV file, which may be packed with gzip."""
    file = unpacked(file)
    delimiter = DELIMITERS.get(given["delimiter"]) or guess_delimiter(file)
    frame = tabular.read_csv(
        file, delimiter, given["missing"], decimal=given["decimal"], dtype_backend="numpy_nullable"
    )
    return plain_types(frame)


def unpacked(file: Path) -> Path:
    """The file, or what is packed in it."""
    with file.open("rb") as stream:
        if stream.read(2) != _PACKED:
            return file
    plain = Path(tempfile.mkdtemp(), file.name.removesuffix(".gz"))
    try:
        with gzip.open(file) as packed, plain.open("wb") as stream:
            shutil.copyfileobj(packed, stream)
    except (OSError, EOFError) as error:
        step.fail(f"The file {file.name!r} cannot be unpacked: {error}.")
    return plain


def plain_types(frame: pd.DataFrame) -> pd.DataFrame:
    """Numbers as 64-bit numbers (whole ones with gaps as fractions), everything else as text."""
    for name in frame.columns:
        column = frame[name]
        if tabular.is_number(column):
            whole = pd.api.types.is_integer_dtype(column) and not column.isna().any()
            frame[name] = column.astype("int64") if whole else column.astype("float64")
        else:
            frame[name] = column.astype("object").where(column.notna(), None)
    return frame


def guess_delimiter(file: Path) -> str:
    """The mark that comes most often in the first line, outside of quotes."""
    with file.open(encoding="utf-8-sig", errors="replace") as stream:
        line = stream.readline(1_000_000)
    outside = "".join(line.split('"')[::2])
    return max(DELIMITERS.values(), key=outside.count)
