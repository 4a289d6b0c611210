"""Writes the rows of a Parquet file (standard input) as JSON lines: `python -m atelier_gateway.parquet_reader`.

A process of its own with little memory: a file that was made to break its reader breaks nothing else. What is wrong is
one line on standard error.
"""

from __future__ import annotations

import json
import math
import resource
import sys
from typing import Any

_MEMORY = 1024**3
_ROWS = 256
_BUFFER = 1024**2


def main() -> None:
    """Read to the end."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    try:
        _copy()
    except MemoryError:
        sys.exit("its parts are too large to be taken in")
    except BrokenPipeError:
        sys.exit("nobody reads its rows")
    except Exception as error:
        sys.exit(str(error).partition("\n")[0][:300] or type(error).__name__)


def _copy() -> None:
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(sys.stdin.buffer, memory_map=False, pre_buffer=False, buffer_size=_BUFFER)
    for batch in file.iter_batches(batch_size=_ROWS, use_threads=False):
        for row in batch.to_pylist():
            line = json.dumps({name: _plain(value) for name, value in row.items()}, ensure_ascii=False, default=_text)
            sys.stdout.buffer.write(line.encode("utf-8", "replace") + b"\n")
    sys.stdout.buffer.flush()


def _plain(value: Any) -> Any:
    """JSON has no NaN, and no infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return value


def _text(value: Any) -> str:
    """Moments, decimals and bytes as texts."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


if __name__ == "__main__":
    main()
