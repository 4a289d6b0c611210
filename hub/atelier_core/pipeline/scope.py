"""What the nodes of one compilation share, and how mistakes in them are noted."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atelier_core.pipeline.document import Document, Node, Problem, Source
from atelier_core.pipeline.plan import OutputRef
from atelier_core.pipeline.ports import NodePorts, project_path
from atelier_core.variables import VariableError, Variables, uses_parameters

if TYPE_CHECKING:
    from atelier_core.pipeline.compile import RunContext

_NAME_LIMIT = 200  # bytes: file systems take 255, and there is something added while it comes
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass
class Scope:
    """What the nodes of one compilation share."""

    context: RunContext
    document: Document
    variables: Variables
    environment: dict[str, str]
    ports: Mapping[str, NodePorts]
    names: Mapping[str, str]
    ancestors: Mapping[str, list[str]]
    problems: list[Problem]
    unknown_values: frozenset[str]

    def problem(self, node: Node, field: str, message: str, hint: str = "") -> None:
        """Note what is wrong with a node."""
        self.problems.append(Problem(node.id, field, f"{node.name!r}: {message}", hint))

    def fill(self, node: Node, field: str, value: Any) -> Any:
        """`value` with its variables filled in; where that fails a problem is noted and None returned."""
        certain = True
        try:
            self.variables.check(value)
            certain = not self.guessed(value)
            return self.variables.render_value(value)
        except VariableError as error:
            if certain:
                self.problem(node, field, f"`{field}`: {error}", "Correct the variable, or define it for the pipeline.")
            return None

    def guessed(self, value: Any) -> bool:
        """Whether the value depends on a run-time parameter that has none yet."""
        return bool(uses_parameters(value) & self.unknown_values)

    def has_file(self, path: str) -> bool:
        """Whether the snapshot holds this file or folder; True where its files are not known."""
        files = self.context.files
        if files is None:
            return True
        if callable(files):
            return files(path)
        return path in files or any(one.startswith(f"{path}/") for one in files)

    def matches(self, pattern: str) -> bool:
        """Whether any file of the snapshot matches; True where they cannot be listed."""
        files = self.context.files
        return files is None or callable(files) or any(fnmatch.fnmatch(one, pattern) for one in files)

    def image(self, given: str) -> str:
        """The name of a known image that is meant by its name or reference, else what was given."""
        known = self.context.images
        if given in known:
            return given
        same = (one.name for one in known.values() if one.reference == given or one.reference.endswith(f"/{given}"))
        return next(same, given)


def output_of(scope: Scope, node: Node, name: str, source: Source) -> tuple[OutputRef, str] | None:
    """The output that `source` names, and its type; None, with a problem noted, if there is no such output."""
    ports = scope.ports.get(source.node)
    if ports is None:
        return None  # a dangling link or a broken node: said elsewhere
    output = ports.find(source.output)
    if not output:
        hint = f"It has: {', '.join(ports.outputs) or 'none'}."
        scope.problem(node, name, f"the step before it has no output {source.output!r} for {name!r}.", hint)
        return None
    return OutputRef(step=scope.names[source.node], output=output), ports.outputs[output].type


def check_input_name(scope: Scope, node: Node, name: str) -> None:
    """A problem is noted if no file or folder can have this name below the folder of inputs."""
    if (
        name in ("", ".", "..")
        or "/" in name
        or "\0" in name
        or len(name.encode("utf-8", "surrogatepass")) > _NAME_LIMIT
    ):
        hint = f"Use a name without slashes, of at most {_NAME_LIMIT} bytes; best letters, digits and underscores."
        scope.problem(node, name, f"{name!r} cannot be the name of an input.", hint)


def unwrap(wrapped: Any) -> Any:
    """The value in Elyra's `{widget, value}`; the widget `parameter` names a run-time parameter."""
    if not isinstance(wrapped, dict) or not isinstance(wrapped.get("widget"), str):
        return wrapped
    value = wrapped.get("value")
    if wrapped["widget"] == "inputpath":
        return None
    if wrapped["widget"] == "parameter" and value:
        return f"{{{{ parameters.{value} }}}}"
    return value


def check_path(scope: Scope, node: Node, field: str, value: str, folder: str = "") -> str | None:
    """A path of the project in its shortest form; a problem is noted if it leads out of it or is not there."""
    path = project_path(posixpath.join(folder, value))
    if path is None:
        hint = "Copy the file into the pipeline's folder and name it by its path from there."
        scope.problem(node, field, f"{value!r} is outside the project.", hint)
    elif not scope.has_file(path):
        hint = "Check the spelling, and that no ignore file leaves it out."
        scope.problem(node, field, f"there is no file {value!r} in the pipeline's folder.", hint)
    return path
