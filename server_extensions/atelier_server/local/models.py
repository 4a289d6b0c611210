"""What of this machine becomes a model or a service: a model folder that is sent, a definition that is read."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from atelier_core.errors import Invalid, NotFound
from atelier_core.service import SUFFIX, parse
from atelier_sdk import Client
from atelier_server.local.files import existing, inside, read_text
from atelier_server.settings import Settings

PATIENCE = 120.0  # the content goes to the platform and to MLflow


class NewModel(BaseModel):
    """A model folder, or one model file, and the model that it becomes a version of."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1, max_length=1000)
    name: str = Field(min_length=1, max_length=255)
    project: str = ""
    note: str = Field(default="", max_length=2000)


def register(platform: Settings, wanted: NewModel) -> dict[str, Any]:
    """The new version; the one that is there if it is the same."""
    source = inside(platform, wanted.path)
    if not source.exists():
        raise NotFound(f"There is no file or folder {wanted.path!r}.", code="no_file", hint="Correct the path.")
    with Client(platform.api_url, platform.token, patience=PATIENCE) as client:
        version = client.models.register(wanted.project or platform.project, wanted.name, source, note=wanted.note)
    return version.model_dump(mode="json")


def definition(platform: Settings, path: str) -> dict[str, Any]:
    """The definition of a service in a file; what is wrong in it is named."""
    file = existing(platform, path)
    if not file.name.endswith(SUFFIX):
        hint = f"Choose a file that ends in {SUFFIX}."
        raise Invalid(f"{file.name} does not define a service.", code="not_a_service", hint=hint)
    return parse(read_text(file), file.name).model_dump(mode="json")
