"""Variables in a pipeline's fields: Jinja2 expressions in a sandbox that reaches nothing and stays small."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import uuid as uuid_module
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from jinja2 import StrictUndefined, UndefinedError, meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import SandboxedEnvironment

MAX_TEXT = 64 * 1024
MAX_TEMPLATE = 16 * 1024
MAX_BITS = 256
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WHOLE_PARAMETER = re.compile(r"\s*\{\{\s*parameters\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}\s*")

# What a value may be made of. Loops, assignments, imports and macros are left out: a value is one expression.
_NODES = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.Name, nodes.Const, nodes.List, nodes.Tuple,
    nodes.Dict, nodes.Pair, nodes.Keyword, nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Call, nodes.Getattr,
    nodes.Getitem, nodes.Slice, nodes.Concat, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg,
    nodes.Pos, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod,
)  # fmt: skip
_FILTERS = (
    "abs", "capitalize", "d", "default", "first", "float", "int", "join", "last", "length", "lower", "max", "min",
    "replace", "round", "sort", "string", "sum", "title", "tojson", "trim", "truncate", "unique", "upper",
)  # fmt: skip
_TEXT = {"upper", "lower", "strip", "lstrip", "rstrip", "split", "startswith", "endswith", "title", "capitalize",
         "removeprefix", "removesuffix", "find"}  # fmt: skip
_DATE = {"strftime", "isoformat", "year", "month", "day", "weekday", "isoweekday", "replace"}
_TIME = {"hour", "minute", "second", "microsecond"}


class VariableError(ValueError):
    """A text with variables cannot be filled in; the message is a sentence for its author."""


class _Date:
    """What `datetime.date` offers."""

    def __init__(self, now: dt.datetime) -> None:
        self._now = now

    def __call__(self, year: int, month: int, day: int) -> dt.date:
        return dt.date(year, month, day)

    def today(self) -> dt.date:
        """The day on which the run was made."""
        return self._now.date()


class _Datetime:
    """What `datetime.datetime` offers; the clock stands at the moment when the run was made."""

    def __init__(self, now: dt.datetime) -> None:
        self._now = now

    def __call__(self, year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> dt.datetime:
        return dt.datetime(year, month, day, hour, minute)

    def now(self) -> dt.datetime:
        """The moment when the run was made, in its own zone."""
        return self._now

    def today(self) -> dt.datetime:
        """The same as `now`."""
        return self._now

    def utcnow(self) -> dt.datetime:
        """The moment when the run was made, in UTC."""
        return self._now.astimezone(dt.UTC).replace(tzinfo=None)

    def strptime(self, text: str, form: str) -> dt.datetime:
        """Read a date from text."""
        return dt.datetime.strptime(text, form)


class _DatetimeModule:
    """What the name `datetime` offers."""

    def __init__(self, now: dt.datetime) -> None:
        self.datetime = _Datetime(now)
        self.date = _Date(now)

    def timedelta(self, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0,
                  weeks: float = 0) -> dt.timedelta:  # fmt: skip
        """A length of time."""
        return dt.timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, weeks=weeks)


class _Uuid:
    """What the name `uuid` offers: ids that differ from place to place, and not between two compilations."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._count = 0

    def uuid4(self) -> uuid_module.UUID:
        """The next id."""
        self._count += 1
        digest = hashlib.sha256(f"{self._seed}:{self._count}".encode()).digest()
        return uuid_module.UUID(bytes=digest[:16], version=4)

    uuid1 = uuid4


_ALLOWED: dict[type, set[str]] = {
    str: _TEXT,
    dict: {"get", "keys", "values"},
    list: {"index", "count"},
    tuple: {"index", "count"},
    dt.date: _DATE,
    dt.datetime: _DATE | _TIME | {"date", "time", "timestamp"},
    dt.time: _TIME | {"strftime", "isoformat"},
    dt.timedelta: {"days", "seconds", "total_seconds"},
    uuid_module.UUID: {"hex", "int"},
    _DatetimeModule: {"datetime", "date", "timedelta"},
    _Datetime: {"now", "today", "utcnow", "strptime"},
    _Date: {"today"},
    _Uuid: {"uuid4", "uuid1"},
}


class _Environment(SandboxedEnvironment):
    """Allows by list, not by exclusion: only what `_ALLOWED` names for the exact type can be reached."""

    intercepted_binops = frozenset({"*", "%", "+"})

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, finalize=_printable)
        self.globals.clear()
        self.filters = {name: self.filters[name] for name in _FILTERS}
        self.filters |= {"replace": _bounded_replace, "join": _bounded_join, "round": _round, "int": _int}
        self.filters["tojson"] = _to_json
        self.tests = {name: self.tests[name] for name in ("defined", "undefined", "none", "number", "string", "in")}

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return attr in _ALLOWED.get(type(obj), ())

    def is_safe_callable(self, obj: Any) -> bool:
        owner = getattr(obj, "__self__", None)
        return type(obj) in (_Date, _Datetime) or getattr(obj, "__name__", "") in _ALLOWED.get(type(owner), ())

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]  # a parameter that is called `keys` is the parameter
        if attribute in _ALLOWED.get(type(obj), ()):
            return getattr(obj, attribute)
        raise SecurityError(f"{attribute!r} is out of reach")

    def getitem(self, obj: Any, argument: Any) -> Any:
        if not isinstance(obj, Mapping | list | tuple | str):
            raise SecurityError(f"{argument!r} is out of reach")
        try:
            return obj[argument]
        except (LookupError, TypeError):
            raise UndefinedError(f"there is no entry {argument!r}") from None

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if any(isinstance(one, int) and one.bit_length() > MAX_BITS for one in (left, right)):
            raise SecurityError(f"a number may have {MAX_BITS} bits at most")
        if operator == "+":
            return _bounded(left + right)
        if not numbers and not isinstance(left, dt.timedelta):
            raise SecurityError(f"{operator} works with numbers only")
        return left * right if operator == "*" else left % right


_PRINTABLE = (str, int, float, type(None), dt.date, dt.time, dt.timedelta, uuid_module.UUID, StrictUndefined)


def _printable(value: Any) -> Any:
    """Lists and objects are printed as JSON; what is no value at all (a method, a module) is not printed."""
    if isinstance(value, list | tuple | dict):
        return _to_json(value)
    if not isinstance(value, _PRINTABLE):
        raise SecurityError("it is not a value; is a pair of brackets missing?")
    return value


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _int(value: Any, default: int = 0) -> int:
    """A whole number from a short text or another number."""
    if isinstance(value, str) and len(value) > 80:
        raise SecurityError("a number may have 80 digits at most")
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return default


def _round(value: float, precision: int = 0) -> float:
    return round(float(value), max(0, min(int(precision), 15)))


def _bounded(value: Any) -> Any:
    if isinstance(value, str | list | tuple) and len(value) > MAX_TEXT:
        raise SecurityError(f"a value may have {MAX_TEXT} characters at most")
    return value


def _bounded_replace(value: Any, old: Any, new: Any) -> str:
    text, old, new = str(value), str(old), str(new)
    if len(text) + text.count(old) * len(new) > MAX_TEXT:
        raise SecurityError(f"a value may have {MAX_TEXT} characters at most")
    return text.replace(old, new)


def _bounded_join(items: Any, separator: str = "") -> str:
    texts = [str(item) for item in items]
    if sum(map(len, texts)) + len(separator) * len(texts) > MAX_TEXT:
        raise SecurityError(f"a value may have {MAX_TEXT} characters at most")
    return separator.join(texts)


_ENVIRONMENT = _Environment()
BUILT_IN = frozenset(
    {"creator", "runner", "pipeline_id", "pipeline_name", "cluster_name", "project", "run_id", "execution_date",
     "datetime", "uuid", "parameters"}
)  # fmt: skip


class Variables:
    """The names that a text may use, and their values for one run."""

    def __init__(self, values: Mapping[str, Any], parameters: Mapping[str, Any], now: dt.datetime, seed: str) -> None:
        self._values: dict[str, Any] = dict(values)
        self._values |= {"parameters": dict(parameters), "datetime": _DatetimeModule(now), "uuid": _Uuid(seed)}

    def define(self, name: str, text: str) -> str:
        """Fill in `text` and make it known as `name`: one line of the global environment."""
        if not _NAME.fullmatch(name):
            raise VariableError(f"{name!r} is not a variable name: use letters, digits and underscores.")
        if name in BUILT_IN:
            raise VariableError(f"{name!r} is a variable that Atelier sets; choose another name.")
        self._values[name] = self.render(text)
        return str(self._values[name])

    def render(self, text: str) -> str:
        """`text` with every variable filled in."""
        if not has_variables(text):
            return text
        self._check_names(parse(text))
        return self._carry_out(text)

    def render_value(self, value: Any) -> Any:
        """The same for every text inside a JSON value; a text that is only `{{ parameters.x }}` keeps the type of x."""
        if isinstance(value, str):
            whole = _WHOLE_PARAMETER.fullmatch(value)
            if whole and whole[1] in self._values["parameters"]:
                return self._values["parameters"][whole[1]]
            return self.render(value)
        if isinstance(value, list):
            return [self.render_value(item) for item in value]
        if isinstance(value, dict):
            return {key: self.render_value(item) for key, item in value.items()}
        return value

    def check(self, value: Any) -> None:
        """Refuse unknown names and forbidden parts in every text inside a JSON value, without filling anything in."""
        if isinstance(value, str) and has_variables(value):
            self._check_names(parse(value))
        elif isinstance(value, dict | list):
            for item in value.values() if isinstance(value, dict) else value:
                self.check(item)

    def _check_names(self, used: Used) -> None:
        for name in sorted(used.names):
            if name not in self._values:
                known = ", ".join(sorted(self._values))
                raise VariableError(f"{{{{ {name} }}}} is not known here. Known are: {known}.")
        for name in sorted(used.parameters):
            if name not in self._values["parameters"]:
                raise VariableError(f"{{{{ parameters.{name} }}}}: the pipeline has no run-time parameter {name!r}.")

    def _carry_out(self, text: str) -> str:
        pieces: list[str] = []
        size = 0
        try:
            for piece in _ENVIRONMENT.from_string(text).generate(self._values):
                size += len(piece)
                if size > MAX_TEXT:
                    raise SecurityError(f"a value may have {MAX_TEXT} characters at most")
                pieces.append(piece)
        except SecurityError as error:
            _refuse(text, f"is not allowed: {error}")
        except Exception as error:  # whatever the author's expression raises is the author's to read
            _refuse(text, f"cannot be filled in: {error}")
        return "".join(pieces)


@dataclass(frozen=True)
class Used:
    """The names that a text uses, and the run-time parameters among them."""

    names: frozenset[str]
    parameters: frozenset[str]


def parse(text: str) -> Used:
    """What `text` uses; refused if it is made of anything but allowed parts."""
    if len(text) > MAX_TEMPLATE:
        raise VariableError(f"A text with variables may have {MAX_TEMPLATE} characters; this one has {len(text)}.")
    try:
        tree = _ENVIRONMENT.parse(text)
        for node in _walk(tree):
            _check_node(text, node)
        return Used(frozenset(meta.find_undeclared_variables(tree)), frozenset(_parameter_names(tree)))
    except VariableError:
        raise
    except Exception as error:  # the parser meets numbers, nesting and names of every kind
        raise VariableError(f"{_short(text)} is not a valid expression: {error}.") from None


def _check_node(text: str, node: nodes.Node) -> None:
    if not isinstance(node, _NODES):
        _refuse(text, f"uses {type(node).__name__.lower()}, which is not allowed: a value is one expression")
    if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
        _refuse(text, f"is not allowed: {node.attr!r} is out of reach")
    if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
        _refuse(text, f"uses the filter {node.name!r}. Known are: {', '.join(_FILTERS)}")


def uses_parameters(value: Any) -> set[str]:
    """The run-time parameters that are named in the texts inside a JSON value; broken texts name none."""
    if isinstance(value, dict):
        return set().union(*map(uses_parameters, value.values()))
    if isinstance(value, list):
        return set().union(*map(uses_parameters, value))
    if not isinstance(value, str) or not has_variables(value):
        return set()
    try:
        return set(parse(value).parameters)
    except VariableError:
        return set()


def has_variables(value: Any) -> bool:
    """Whether any text inside a JSON value holds a variable."""
    if isinstance(value, dict):
        return any(map(has_variables, value.values()))
    if isinstance(value, list):
        return any(map(has_variables, value))
    return isinstance(value, str) and any(mark in value for mark in ("{{", "{%", "{#"))


def _parameter_names(tree: nodes.Template) -> Iterator[str]:
    for node in _walk(tree):
        if not isinstance(node, nodes.Getattr | nodes.Getitem):
            continue
        if not isinstance(node.node, nodes.Name) or node.node.name != "parameters":
            continue
        if isinstance(node, nodes.Getattr):
            yield node.attr
        elif isinstance(node.arg, nodes.Const):
            yield str(node.arg.value)


def _walk(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    for child in node.iter_child_nodes():
        yield from _walk(child)


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "…"


def _refuse(text: str, why: str) -> NoReturn:
    raise VariableError(f"{_short(text)} {why.rstrip('.')}.") from None
