"""`atelier service predict`: a file of rows to a service, and its predictions into another file."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from atelier_cli import exits
from atelier_cli.session import Session, command_options
from atelier_sdk.errors import AtelierError
from atelier_sdk.services import CSV, JSON_LINES, PARQUET

_ENDINGS = {".csv": CSV, ".jsonl": JSON_LINES, ".ndjson": JSON_LINES, ".parquet": PARQUET, ".pq": PARQUET}
_ERROR = "error"
_GIVEN = click.Path(exists=True, dir_okay=False, path_type=Path)
_MADE = click.Path(dir_okay=False, path_type=Path)


@click.command("predict")
@click.argument("name")
@click.option("-f", "--file", required=True, type=_GIVEN, help="*.csv, *.jsonl or *.parquet.")
@click.option("-o", "--output", type=_MADE, help="Default: the standard output.")
@click.option("--outputs", metavar="NAME,NAME", help="Only these outputs of the model.")
@click.option("--keep/--no-keep", default=True, help="Keep the columns of the file beside the predictions.")
@command_options
def predict_command(
    session: Session, name: str, file: Path, output: Path | None, outputs: str | None, *, keep: bool
) -> int:
    """Ask the service NAME about every row of a file: *.csv with the names of the columns first, or *.jsonl with an
    object in each line; the file may be as large as it likes. Or *.parquet, up to a gibibyte, whose rows come back as
    JSON lines. What comes back has the same rows, in the same order, with the predictions beside them and a column
    `error` for rows that cannot be predicted."""
    kind = _ENDINGS.get(file.suffix.lower())
    if kind is None:
        raise click.BadParameter(f"{file} is neither *.csv nor *.jsonl nor *.parquet.", param_hint="--file")
    services = session.client.services
    wanted = [one for one in (outputs or "").split(",") if one]
    with file.open("rb") as rows:
        answer = services.predict_file(
            services.get(session.project, name), rows, content_type=kind, keep=keep, outputs=wanted
        )
        if output is None:
            for piece in answer:
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            return exits.OK
        _store(answer, output, kind)
    count, failed, example = _counted(output, kind)
    said = f"{count} rows, {count - failed} with predictions: {output}"
    session.out.one({"rows": count, "failed": failed, "file": str(output)}, said)
    if failed:
        session.out.warn(f"{failed} rows have none. The first: {example}")
    return exits.OK


def _store(answer: Iterator[bytes], output: Path, kind: str) -> None:
    """Whole or not at all; of an answer that broke off, the reason."""
    partial = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            for piece in answer:
                file.write(piece)
        partial.replace(output)
    except AtelierError as error:
        if error.code == "broke_off":
            raise AtelierError(
                _last_words(partial, kind) or error.message,
                code=error.code,
                hint="Nothing was written; look at the service, then send the file again.",
            ) from error
        raise
    finally:
        partial.unlink(missing_ok=True)


def _errors(file: Path, kind: str) -> Iterator[str]:
    """What each row says of why it has no prediction."""
    with file.open(newline="", encoding="utf-8") as text:
        if kind == CSV:
            yield from (row.get(_ERROR) or "" for row in csv.DictReader(text))
        else:
            yield from (str(json.loads(line).get(_ERROR, "")) for line in text)


def _counted(file: Path, kind: str) -> tuple[int, int, str]:
    count, failed, example = 0, 0, ""
    for error in _errors(file, kind):
        count += 1
        failed += bool(error)
        example = example or error
    return count, failed, example


def _last_words(file: Path, kind: str) -> str:
    last = ""
    try:
        for error in _errors(file, kind):
            last = error
    except (ValueError, csv.Error):
        return ""  # cut in the middle of a line
    return last
