"""**Run** in Elyra's editor: the file and its folder go to Atelier, as from Atelier's own canvas."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from elyra.pipeline import pipeline_constants
from elyra.pipeline.processor import RuntimePipelineProcessor, RuntimePipelineProcessorResponse

from atelier_elyra.compat import ATELIER
from atelier_elyra.platform import client, project
from atelier_sdk import AtelierError, pack


class Response(RuntimePipelineProcessorResponse):
    """Where the run is watched."""

    _type = ATELIER
    _name = "atelier"


class AtelierProcessor(RuntimePipelineProcessor):
    """Submits the pipeline; the run lives in the platform, not in this server."""

    _type = ATELIER
    _name = "atelier"

    @property
    def supported_properties(self) -> set[str]:
        """What Elyra adds to its forms by itself. Its form of a component is broken without any."""
        return {pipeline_constants.ENV_VARIABLES, pipeline_constants.DISABLE_NODE_CACHING}

    def process(self, pipeline: Any) -> Response:
        """Start a run of the saved file. Raises with the platform's own sentences when it cannot run."""
        file = Path(self.root_dir) / (pipeline.source or f"{pipeline.name}.pipeline")
        try:
            return self._submit(file)
        except AtelierError as error:
            raise RuntimeError(f"{error.message} {error.hint}".strip()) from None

    def _submit(self, file: Path) -> Response:
        document = json.loads(file.read_text("utf-8"))
        with client() as connected, pack(file.parent) as snapshot:
            where = project(connected)
            connected.snapshots.upload(where, snapshot)
            revision = connected.revisions.create(where, path=file.name, document=document, snapshot=snapshot.digest)
            run = connected.runs.create(where, revision=revision.id, idempotency_key=uuid.uuid4().hex)
            self.log_pipeline_info(file.stem, f"runs as {run.id} in project {where}")
            return Response(run_url=f"{connected.url}/api/projects/{where}/runs/{run.id}", object_storage_url="",
                            object_storage_path="")  # fmt: skip

    def export(self, pipeline: Any, pipeline_export_format: str, pipeline_export_path: str, overwrite: bool) -> str:
        """There is nothing to export to."""
        raise NotImplementedError("Atelier runs the pipeline's file as it is; commit that instead of an export.")
