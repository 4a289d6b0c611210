"""Finds templates in folders, and packs their code so that the same code always has the same digest."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from atelier_core.errors import Invalid, NotFound
from atelier_core.template import Catalog, Template

ROOT = Path(__file__).parent
_MANIFEST = "template.yaml"
_LEFT_OUT = ("__pycache__",)
_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast; every start reads all templates


@dataclass(frozen=True)
class Archive:
    """Packed code: a tar.gz and its digest."""

    digest: str
    data: bytes


class Library:
    """All templates of some folders, and the code that their steps and the notebook steps run.

    Folders that come later may add versions of a template; the built-in ones come first.
    """

    def __init__(self, extra_folders: Iterable[Path] = ()) -> None:
        self._folders: dict[str, Path] = {}
        self._code: dict[str, dict[str, Path]] = {}
        templates = []
        for root in (ROOT, *extra_folders):
            for folder in _folders_of(root):
                template = load(folder)
                if template.key not in self._folders:
                    self._folders[template.key] = folder
                    self._code[template.key] = code_files(folder, template)
                templates.append(template)
        self.catalog = Catalog(templates)
        self._archives: dict[str, Archive] = {}

    @cached_property
    def keys(self) -> list[str]:
        """What `archive` can pack: `template:<name>@<version>` and `runner:<name>`."""
        runners = [f"runner:{file.stem}" for file in sorted((ROOT / "runners").glob("*.py"))]
        return [*self._folders, *runners]

    def archive(self, key: str) -> Archive:
        """The code of a template or of a runner."""
        if key not in self._archives:
            self._archives[key] = pack(self._files(key))
        return self._archives[key]

    def digest(self, key: str) -> str:
        """The digest of that code: what `RunContext.code_digest` asks for."""
        return self.archive(key).digest

    def folder(self, template: Template) -> Path:
        """Where a template lies."""
        return self._folders[template.key]

    def _files(self, key: str) -> dict[str, Path]:
        kind, _, name = key.partition(":")
        runner = ROOT / "runners" / f"{name}.py"
        if kind == "runner" and runner.is_file() and runner.parent == ROOT / "runners":
            return {runner.name: runner}
        if key not in self._code:
            raise NotFound(f"There is no code {key!r}.", hint="`atelier template list` shows what there is.")
        return self._code[key]


def _folders_of(root: Path) -> list[Path]:
    if not root.is_dir():
        raise Invalid(f"The template folder {root} does not exist.", hint="Create it, or remove it from the settings.")
    return sorted(manifest.parent for manifest in root.glob(f"*/{_MANIFEST}"))


def load(folder: Path) -> Template:
    """The template in a folder; a mistake is named with its file, its field and what to do."""
    file = folder / _MANIFEST
    try:
        raw: Any = yaml.load(file.read_text("utf-8"), Loader=_YAML)  # noqa: S506 - a safe one
    except OSError as error:
        raise Invalid(
            f"{file} cannot be read: {error.strerror}.", hint="A template is a folder with a template.yaml."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} is not YAML: {error}", hint="Correct the file.") from None
    try:
        template = Template.model_validate(raw)
    except ValidationError as error:
        raise _manifest_error(file, error) from None
    code_files(folder, template)
    return template


def _manifest_error(file: Path, error: ValidationError) -> Invalid:
    lines = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        place = ".".join(map(str, item["loc"])) or "the file"
        lines.append(f"{place}: {item['msg'].removeprefix('Value error, ')}")
    return Invalid(f"{file}: {'; '.join(lines)}.", code="bad_template", hint="Correct these fields in template.yaml.")


def code_files(folder: Path, template: Template) -> dict[str, Path]:
    """The files that a template's steps get: `src/`, and the modules of its family that it names."""
    source = folder / "src"
    found = {
        file.relative_to(source).as_posix(): file
        for file in sorted(source.rglob("*"))
        if file.is_file() and not any(part in _LEFT_OUT for part in file.relative_to(source).parts)
    }
    if not found:
        raise Invalid(f"{folder} has no code.", code="bad_template", hint=f"Put the program into {source}.")
    for name in template.shared:
        module = f"{name}.py"
        places = [folder.parent / "shared" / module, ROOT / "shared" / module]
        shared = next((place for place in places if name.isidentifier() and place.is_file()), None)
        if shared is None or module in found:
            why = "is in src as well" if module in found else "does not exist"
            hint = f"Correct `shared`, or put the module into {places[0].parent}."
            raise Invalid(f"{folder / _MANIFEST}: shared: the module {name!r} {why}.", code="bad_template", hint=hint)
        found[module] = shared
    return found


def pack(files: Mapping[str, Path]) -> Archive:
    """A tar.gz that depends on names and contents alone: no times, owners or machine in it."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(files):
            data = files[name].read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(data))
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=packed, mode="wb", mtime=0) as stream:
        stream.write(plain.getvalue())
    data = packed.getvalue()
    return Archive(f"sha256:{hashlib.sha256(data).hexdigest()}", data)
