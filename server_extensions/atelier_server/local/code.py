"""Reads Python for the paths that it builds: which folder, which name, and whether it reads or writes there."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

_VARIABLES = {"ATELIER_INPUTS": "inputs", "ATELIER_OUTPUTS": "outputs", "ATELIER_RESULTS": "results"}
_PARAMETERS = "ATELIER_PARAMETERS"
_WRITERS = frozenset({
    "write_text", "write_bytes", "to_csv", "to_parquet", "to_json", "to_pickle", "to_excel", "to_feather", "to_html",
    "savefig", "save", "save_model", "savez", "savetxt", "imsave", "imwrite", "write_table", "write_image",
    "write_html", "dump",
})  # fmt: skip
_READERS = frozenset({
    "read_text", "read_bytes", "read_csv", "read_parquet", "read_json", "read_pickle", "read_excel", "read_feather",
    "read_table", "load", "loadtxt", "genfromtxt", "imread",
})  # fmt: skip
_JOINING = frozenset({"join", "Path", "PurePath", "PosixPath", "str", "fspath", "joinpath", "resolve", "abspath"})
# Below these a statement may run never, or not every time.
_SOMETIMES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.If, ast.For, ast.While, ast.Try)


@dataclass(frozen=True)
class Place:
    """A path: below one of the step's folders, or `here` in the working directory."""

    base: str
    parts: tuple[str, ...] = ()

    def __truediv__(self, other: Place) -> Place | None:
        if other.base != "here":
            return None
        return Place(self.base, (*self.parts, *other.parts))


@dataclass
class Code:
    """What the code that was read so far does."""

    places: list[Place] = field(default_factory=list)
    files_read: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    always: set[str] = field(default_factory=set)
    values: list[str] = field(default_factory=list)
    parameters: dict[str, ast.expr | None] = field(default_factory=dict)
    environment: dict[str, None] = field(default_factory=dict)
    _names: dict[str, Place] = field(default_factory=dict)
    _dictionaries: set[str] = field(default_factory=set)

    def read(self, tree: ast.AST, sometimes: bool = False) -> None:
        """Read a module or a part of it, in the order in which it stands there."""
        if isinstance(tree, ast.Assign | ast.AnnAssign):
            self._assignment(tree)
        if isinstance(tree, ast.stmt) and not isinstance(tree, _SOMETIMES):
            self._values(tree)
        if isinstance(tree, ast.Call):
            self._call(tree, sometimes)
        if isinstance(tree, ast.expr):
            self._parameter(tree)
            self._variable(tree)
            place = self.place(tree)
            if place is not None and place.parts and place.base != "here":
                self.places.append(place)
                return
        for child in ast.iter_child_nodes(tree):
            self.read(child, sometimes or isinstance(tree, _SOMETIMES))

    def place(self, node: ast.AST | None) -> Place | None:
        """The path that an expression is, if it can be known."""
        match node:
            case ast.Constant(value=str() as text):
                return _relative(text)
            case ast.Name(id=name):
                return self._names.get(name)
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return self._joined([left, right])
            case ast.BinOp(left=left, op=ast.Add(), right=ast.Constant(value=str() as text)) if text.startswith("/"):
                first, rest = self.place(left), _relative(text.lstrip("/"))
                return first / rest if first and rest else None
            case ast.JoinedStr(values=[ast.FormattedValue(value=first), ast.Constant(value=str() as text)]):
                start, rest = self.place(first), _relative(text.lstrip("/"))
                return start / rest if start and rest and text.startswith("/") else None
            case ast.Call(func=function, args=arguments):
                return self._called(function, arguments)
            case ast.Subscript():
                name = _environment(node)
                return Place(_VARIABLES[name]) if name in _VARIABLES else None
        return None

    def _called(self, function: ast.expr, arguments: list[ast.expr]) -> Place | None:
        name = _name(function)
        variable = _environment(ast.Call(function, arguments, []))
        if variable in _VARIABLES:
            return Place(_VARIABLES[variable])
        if name not in _JOINING:
            return None
        owner = function.value if isinstance(function, ast.Attribute) and name in {"joinpath", "resolve"} else None
        return self._joined([*([owner] if owner else []), *arguments])

    def _joined(self, parts: list[ast.expr]) -> Place | None:
        found: Place | None = None
        for part in parts:
            place = self.place(part)
            if place is None:
                # What is below the step's folder under an unknown name still is not here.
                return None
            found = place if found is None else found / place
            if found is None:
                return None
        return found

    def _assignment(self, line: ast.Assign | ast.AnnAssign) -> None:
        targets = line.targets if isinstance(line, ast.Assign) else [line.target]
        for target in targets:
            if not isinstance(target, ast.Name) or line.value is None:
                continue
            if _mentions(line.value, _PARAMETERS) and not isinstance(line.value, ast.Subscript):
                self._dictionaries.add(target.id)
            place = self.place(line.value)
            if place is not None:
                self._names[target.id] = place

    def _parameter(self, node: ast.expr) -> None:
        """`given["name"]` and `given.get("name", default)`, where `given` was read from the parameters file."""
        match node:
            case ast.Subscript(value=owner, slice=ast.Constant(value=str() as name)) if self._is_parameters(owner):
                self.parameters.setdefault(name, None)
            case ast.Call(func=ast.Attribute(value=owner, attr="get"), args=[ast.Constant(value=str() as name), *rest]):
                if self._is_parameters(owner):
                    self.parameters[name] = rest[0] if rest else self.parameters.get(name)

    def _is_parameters(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name):
            return node.id in self._dictionaries
        return isinstance(node, ast.Call) and _name(node.func) in {"load", "loads"} and _mentions(node, _PARAMETERS)

    def _variable(self, node: ast.expr) -> None:
        name = _environment(node)
        if name and not name.startswith("ATELIER_"):
            self.environment[name] = None

    def _values(self, line: ast.stmt) -> None:
        """The keys of what is written to `outputs.json`."""
        touched = (self.place(node) for node in ast.walk(line) if isinstance(node, ast.expr))
        if Place("outputs", ("outputs.json",)) not in touched:
            return
        for node in ast.walk(line):
            if isinstance(node, ast.Dict):
                names = [key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
                self.values += [name for name in names if name not in self.values]
                return

    def _call(self, call: ast.Call, sometimes: bool) -> None:
        name = _name(call.func)
        if name == "open":
            self._opened(call, sometimes)
        elif name in _WRITERS | _READERS:
            owner = call.func.value if isinstance(call.func, ast.Attribute) else None
            arguments = [*call.args, *(word.value for word in call.keywords)]
            if name.startswith(("write_text", "write_bytes", "read_text", "read_bytes")):
                arguments = [owner] if owner else []
            file = next((found for one in arguments if (found := self._file(one))), "")
            self._touched(file, name in _WRITERS, sometimes)

    def _opened(self, call: ast.Call, sometimes: bool) -> None:
        """`open(path, mode)` and `path.open(mode)`."""
        method = isinstance(call.func, ast.Attribute) and self.place(call.func.value) is not None
        path = call.func.value if method and isinstance(call.func, ast.Attribute) else next(iter(call.args), None)
        modes = call.args[0 if method else 1 :] + [word.value for word in call.keywords if word.arg == "mode"]
        mode = next((one.value for one in modes if isinstance(one, ast.Constant) and isinstance(one.value, str)), "r")
        self._touched(self._file(path), bool(set(mode) & set("wax")), sometimes)

    def _file(self, node: ast.expr | None) -> str:
        place = self.place(node)
        return "/".join(place.parts) if place is not None and place.base == "here" and place.parts else ""

    def _touched(self, file: str, writes: bool, sometimes: bool) -> None:
        if not file:
            return
        (self.written if writes else self.files_read).append(file)
        if writes and not sometimes:
            self.always.add(file)


def _relative(text: str) -> Place | None:
    """A relative path that stays below where it begins and looks like one."""
    if "://" in text or text.startswith(("/", "~")) or "\n" in text or len(text) > 300:
        return None
    parts = tuple(part for part in text.split("/") if part not in {"", "."})
    return None if ".." in parts or any(mark in text for mark in "*?[]{}<>|:\"'\\") else Place("here", parts)


def _environment(node: ast.AST) -> str:
    """The variable that `os.environ["X"]`, `os.environ.get("X")` or `os.getenv("X")` reads."""
    match node:
        case ast.Subscript(value=owner, slice=ast.Constant(value=str() as name)) if _name(owner) == "environ":
            return name
        case ast.Call(func=ast.Attribute(value=owner, attr="get"), args=[ast.Constant(value=str() as name), *_]):
            return name if _name(owner) == "environ" else ""
        case ast.Call(func=function, args=[ast.Constant(value=str() as name), *_]) if _name(function) == "getenv":
            return name
    return ""


def _name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _mentions(node: ast.AST, text: str) -> bool:
    return any(isinstance(part, ast.Constant) and part.value == text for part in ast.walk(node))
