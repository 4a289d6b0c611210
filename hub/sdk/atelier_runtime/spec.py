"""What the shim is told (`shim.json`) and the variables that it sets."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from typing import Any

VARIABLE_FOLDERS = {
    "ATELIER_CODE": "code",
    "ATELIER_TEMPLATE": "template",
    "ATELIER_INPUTS": "inputs",
    "ATELIER_OUTPUTS": "outputs",
    "ATELIER_RESULTS": "results",
    "ATELIER_PARAMETERS": "parameters.json",
    "TMPDIR": "tmp",
}


@dataclass(frozen=True)
class Code:
    """A stored tar.gz and the folder it is unpacked into."""

    digest: str
    path: str = "code"


@dataclass(frozen=True)
class Input:
    """An artifact and where it is placed."""

    name: str
    artifact: str = ""
    path: str = ""

    @property
    def place(self) -> str:
        """Its path below the attempt's folder."""
        return self.path or "inputs/" + self.name


@dataclass(frozen=True)
class Output:
    """What the command must leave, and where."""

    name: str
    type: str = "any"
    path: str = ""
    required: bool = True

    @property
    def place(self) -> str:
        """Its path below the attempt's folder."""
        return self.path or "outputs/" + self.name


@dataclass(frozen=True)
class Gang:
    """How the replicas of a gang meet: `base` is the rank of this role's first replica, `size` counts all roles."""

    size: int
    address: str = "127.0.0.1"
    port: int = 29500
    base: int = 0

    def variables(self, index: int, local: bool) -> dict[str, str]:
        """The rendezvous variables of replica `index`; `local` when all replicas share one machine."""
        rank = str(self.base + index)
        return {
            "MASTER_ADDR": self.address,
            "MASTER_PORT": str(self.port),
            "RANK": rank,
            "LOCAL_RANK": rank if local else "0",
            "WORLD_SIZE": str(self.size),
            "NODE_RANK": rank,
            "PET_NNODES": str(self.size),
            "PET_NODE_RANK": rank,
            "PET_MASTER_ADDR": self.address,
            "PET_MASTER_PORT": str(self.port),
        }


@dataclass(frozen=True)
class ShimSpec:
    """One replica of one attempt. Unknown keys are ignored, so that an older shim reads a newer control plane's file.

    `replica` may end in `-*`: the pod's completion index is put there. `cache` is a folder for code archives that
    attempts share; without one each attempt fetches its own. `log_limit` is how many bytes of a log are kept (0: all).
    Who starts the shim locally drops to `uid` and `groups`. `given` is what is told beside what the command uses.
    """

    attempt: str
    command: tuple[str, ...]
    root: str = ""
    replica: str = "main-0"
    index: int = 0
    url: str = ""
    token: str = field(default="", repr=False)
    env: dict[str, str] = field(default_factory=dict, repr=False)
    workdir: str = "code"
    parameters: dict[str, Any] = field(default_factory=dict)
    code: tuple[Code, ...] = ()
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    timeout: float = 0
    grace: float = 10
    kind: str = "job"
    stores: bool = True
    claim: str = "file"
    uid: int | None = None
    groups: tuple[int, ...] = ()
    gang: Gang | None = None
    cache: str = ""
    log_limit: int = 0
    given: dict[str, float] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str) -> ShimSpec:
        """Read `shim.json`."""
        with open(path, encoding="utf-8") as file:
            return cls.parse(json.load(file))

    @classmethod
    def parse(cls, document: dict[str, Any]) -> ShimSpec:
        """Make a spec of the JSON document."""
        known = {name: document[name] for name in cls.__dataclass_fields__ if name in document}
        known["command"], known["groups"] = tuple(known["command"]), tuple(known.get("groups", ()))
        for name, kind in (("code", Code), ("inputs", Input), ("outputs", Output)):
            known[name] = tuple(_make(kind, item) for item in known.get(name, ()))
        if known.get("gang"):
            known["gang"] = _make(Gang, known["gang"])
        return cls(**known)

    def document(self) -> dict[str, Any]:
        """The JSON document that `parse` reads."""
        return asdict(self)

    def placed(self, root: str, index: int | None = None) -> ShimSpec:
        """The same below `root`, and for replica `index` where a role's pods share one spec."""
        if index is None or not self.replica.endswith("-*"):
            return replace(self, root=root)
        replica = self.replica[:-1] + str(index)
        return replace(self, root=root, index=index, replica=replica, stores=self.stores and index == 0)

    def without_secrets(self) -> ShimSpec:
        """What the step's own container may know: no token, no address."""
        return replace(self, token="", url="")

    def path(self, relative: str) -> str:
        """A path below the attempt's folder; `ValueError` if it leads out of it."""
        full = os.path.normpath(os.path.join(self.root, relative))
        if full != self.root and not full.startswith(self.root.rstrip("/") + "/"):
            raise ValueError(f"The path {relative!r} leads out of the attempt's folder.")
        return full

    def variables(self) -> dict[str, str]:
        """What the shim adds to the command's environment."""
        values = {name: os.path.join(self.root, folder) for name, folder in VARIABLE_FOLDERS.items()}
        values.update(ATELIER_ATTEMPT=self.attempt, ATELIER_REPLICA=self.replica)
        values.update(ATELIER_INDEX=str(self.index))
        if self.gang:
            values.update(self.gang.variables(self.index, local=self.claim == "file"))
        return values

    def environment(self, base: dict[str, str]) -> dict[str, str]:
        """The command's whole environment: `base`, the step's own, and the shim's, which wins."""
        return {**base, **self.env, **self.variables()}


def _make(kind: Any, document: dict[str, Any]) -> Any:
    return kind(**{name: document[name] for name in kind.__dataclass_fields__ if name in document})
