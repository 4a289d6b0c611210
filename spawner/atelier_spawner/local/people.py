"""Whose account a step runs under on this machine, and where that person's and the project's files are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atelier_core.errors import Invalid
from atelier_core.names import personal_name
from atelier_core.workload import WorkloadSpec
from atelier_spawner.notebooks.folders import Folders
from atelier_spawner.notebooks.identities import Identities


class People:
    """Options: `identities`, the table of account numbers; `people`, the folder with `users` and `projects`.

    With `identities` each step runs under the number of the person who started it; without, as whoever runs us.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        table, folder = options.get("identities"), options.get("people")
        self._identities = Identities(Path(table)) if table else None
        self._folders = (
            Folders(Path(folder), several=bool(table), table=Path(table) if table else None) if folder else None
        )
        self._numbers: dict[tuple[str, str], int] = {}

    @property
    def several(self) -> bool:
        """Whether each person has a number of their own."""
        return self._identities is not None

    def assign(self, spec: WorkloadSpec) -> WorkloadSpec:
        """Blocking: the same with the number that it runs under."""
        if self._identities is None or spec.uid is not None:
            return spec
        if not spec.owner:
            raise Invalid(
                f"{spec.id} belongs to nobody, so there is no account that it could run under.",
                code="no_owner",
                hint="Several people share this machine: name the owner of what is to run.",
            )
        return spec.model_copy(update={"uid": self._number("user", spec.owner)})

    def groups(self, spec: WorkloadSpec) -> tuple[int, ...]:
        """Blocking: the further groups of a step: its project's, whose folder it may change."""
        if self._identities is None or self._is_personal(spec):
            return ()
        return (self._number("project", spec.project),)

    def variables(self, spec: WorkloadSpec) -> dict[str, str]:
        """Blocking: where the personal and the shared folder are, which are made if they are not there yet."""
        if self._folders is None or not spec.owner:
            return {}
        personal = self._folders.personal(spec.owner)
        shared = personal if self._is_personal(spec) else self._folders.project(spec.project)
        return {"ATELIER_USER_DIR": str(personal), "ATELIER_PROJECT_DIR": str(shared)}

    def set_aside(self, project: str) -> None:
        """Blocking: the project is deleted, and its name may soon be another's."""
        if self._folders is not None:
            self._folders.set_aside(project)
        self._numbers.pop(("project", project), None)

    def remove_aside(self) -> None:
        """Blocking: remove the files of deleted projects."""
        if self._folders is not None:
            self._folders.remove_aside()

    def _is_personal(self, spec: WorkloadSpec) -> bool:
        return spec.project == personal_name(spec.owner)

    def _number(self, kind: str, name: str) -> int:
        """A number never changes as long as its project lives, so each is looked up once."""
        assert self._identities is not None
        key = (kind, name)
        if key not in self._numbers:
            self._numbers[key] = self._identities.uid(name) if kind == "user" else self._identities.gid(name)
        return self._numbers[key]


def passage(path: Path) -> Path:
    """Blocking: make a folder that other accounts can pass through without seeing names in it, whatever the umask."""
    path.mkdir(parents=True, exist_ok=True, mode=0o711)
    mode = path.stat().st_mode & 0o7777
    if mode & 0o011 != 0o011:
        path.chmod(mode | 0o011)
    return path


def open_to_all(root: Path) -> None:
    """Blocking: let every account read what is below `root`, whatever umask the files were once unpacked under."""
    for folder, _, names in os.walk(root):
        _add_mode(Path(folder), 0o055)
        for name in names:
            path = Path(folder) / name
            if not path.is_symlink():
                _add_mode(path, 0o055 if path.stat().st_mode & 0o100 else 0o044)


def _add_mode(path: Path, bits: int) -> None:
    mode = path.stat().st_mode & 0o7777
    if mode & bits != bits:
        path.chmod(mode | bits)
