"""From a `.pipeline` file to a run of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atelier_sdk.errors import AtelierError
from atelier_sdk.models import Problem, Run
from atelier_sdk.snapshot import pack

if TYPE_CHECKING:
    from atelier_sdk.client import Client

_SHOWN = 5


def submit(client: Client, file: Path, place: str, parameters: dict[str, Any] | None, on: str | None) -> Run:
    """Check the document, upload the folder, run it; `place` is the path that the revision keeps."""
    project = client.project
    document = read_document(file)
    with pack(file.parent) as snapshot:
        problems = client.pipelines.check(project, document=document, path=file.name, files=snapshot.files)
        if problems:
            said = "; ".join(_sentence(one) for one in problems[:_SHOWN])
            raise AtelierError(f"{file.name} cannot run: {said}", code="invalid_pipeline", hint="Open it to mend it.")
        client.snapshots.upload(project, snapshot)
    revision = client.revisions.create(project, path=place, document=document, snapshot=snapshot.digest)
    return client.runs.create(project, revision=revision.id, parameters=parameters, on=on)


def read_document(file: Path) -> Any:
    """The pipeline as JSON, or an error that names the place."""
    hint = "Name a .pipeline file, as the canvas saves it."
    try:
        return json.loads(file.read_text("utf-8"), parse_constant=_refuse)
    except json.JSONDecodeError as error:
        why = f"line {error.lineno}, column {error.colno}: {error.msg}"
        hint = "Open it in an editor and mend that place, or take the last version from your version control."
    except UnicodeDecodeError:
        why = "it is not text"
    except RecursionError:
        why = "it is nested too deeply"
    except ValueError as error:
        why = str(error)
    except OSError as error:
        why = error.strerror or "it cannot be read"
    raise AtelierError(f"{file} is not a pipeline: {why}.", code="not_a_pipeline", hint=hint)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _sentence(problem: Problem) -> str:
    place = f"{problem.node}: " if problem.node else ""
    return f"{place}{problem.message}"
