"""What the platform says by itself: the sentences in its own code, as Lab's catalogue of them calls them.

They are plain strings and f-strings; what is put into one is called `%1`, `%2`… here, in the order in which it comes.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

from pydantic_core._pydantic_core import list_all_errors

ROOT = Path(__file__).parents[3]
CATALOG = ROOT / "labextensions" / "packages" / "api" / "said" / "zh_CN.json"
# Whose sentences a person meets in Lab; what only operators and programs read stays English.
_SAYS = (
    "hub/atelier_core/**/*.py",
    "hub/atelier_gateway/*.py",
    "hub/atelier_hub/artifacts/*.py",
    "hub/atelier_hub/auth.py",
    "hub/atelier_hub/clients/*.py",
    "hub/atelier_hub/engine/*.py",
    "hub/atelier_hub/features/**/*.py",
    "hub/atelier_hub/http/e*.py",
    "hub/atelier_hub/http/[lp]*.py",
    "hub/atelier_hub/streams.py",
    "hub/sdk/atelier_runtime/*.py",
    "hub/sdk/atelier_sdk/snapshot.py",
    "hub/sdk/atelier_sdk/uploads.py",
    "hub/serve/atelier_serve/**/*.py",
    "server_extensions/atelier_server/**/*.py",
    "spawner/atelier_spawner/local/*.py",
    "spawner/atelier_spawner/kubernetes/*.py",
)
_SILENT = re.compile(
    r"/(diagnosis|runtime_image|openapi|election|template|cli|page)\.py$"
    r"|/atelier_gateway/(app|internal|serve)\.py$|/atelier_serve/(__main__|metrics)\.py$"
)
# A whole sentence, or one that ends with what was put in.
_SENTENCE = re.compile(r"[.?!]\)?$|[:.,]\s?%\d+$|\bmore\)$")
_NONE = re.compile(r"%[sdrg]\b|%\.\d|^[<|\[]|^https?:|; (charset|default-src)")
# pydantic's own words about the fields of a request or a file.
_CHECKS = re.compile(
    r"^(missing|extra_forbidden|none_required|(int|float|bool|string|list|dict|model|datetime)_(type|parsing)|"
    r"int_from_float|(less|greater)_than(_equal)?|too_(long|short)|string_(too_long|too_short|pattern_mismatch)|"
    r"literal_error|enum|json_invalid|value_error|finite_number|datetime_from_date_parsing|url_parsing)$"
)
# The same of jsonschema, which checks the parameters of steps.
_LIMITS = (
    "%1 is not of type %2",
    "%1 is not one of %2",
    "%1 is less than the minimum of %2",
    "%1 is less than or equal to the minimum of %2",
    "%1 is greater than the maximum of %2",
    "%1 is greater than or equal to the maximum of %2",
    "%1 does not match %2",
    "%1 is too long",
    "%1 is too short",
    "%1 should be non-empty",
    "%1 has non-unique elements",
)
# What the page says of the connection before anybody else can.
_PAGE = ROOT / "labextensions" / "packages" / "api" / "src"
_BY_PAGE = re.compile(r"\.say\('([^']+)'\)")


def sentences() -> dict[str, str]:
    """Every sentence and where it stands."""
    found: dict[str, str] = {}
    for pattern in _SAYS:
        for path in sorted(ROOT.glob(pattern)):
            if not _SILENT.search(str(path)):
                place = str(path.relative_to(ROOT))
                for text, line in _said(ast.parse(path.read_text("utf-8")), False):
                    found.setdefault(text, f"{place}:{line}")
    for error in list_all_errors():
        if _CHECKS.match(error["type"]):
            found.setdefault(_numbered(error["message_template_python"]), f"pydantic:{error['type']}")
    found |= {text: "jsonschema" for text in _LIMITS}
    for path in sorted(_PAGE.glob("*.ts")):
        found |= {text: path.name for text in _BY_PAGE.findall(path.read_text("utf-8"))}
    return found


def catalog() -> dict[str, str]:
    """The Chinese texts by sentence."""
    loaded: dict[str, str] = json.loads(CATALOG.read_text("utf-8"))
    return loaded


def _said(node: ast.AST, raised: bool) -> Iterator[tuple[str, int]]:
    if _silent(node):
        return
    text = _text(node)
    if text is not None:
        text = text.strip()
        if _is_sentence(text, raised):
            yield text, getattr(node, "lineno", 0)
        return
    for child in ast.iter_child_nodes(node):
        yield from _said(child, raised or isinstance(node, ast.Raise))


def _silent(node: ast.AST) -> bool:
    """Docstrings, what goes to a log, and what describes the API."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.keyword):
        return node.arg in {"code", "description", "help", "summary"}
    return isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[0] in {"log", "_log", "logger", "print"}


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        number = itertools.count(1)
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else f"%{next(number)}" for part in node.values
        )
    return None


def _numbered(template: str) -> str:
    number = itertools.count(1)
    return re.sub(r"\{\w+\}", lambda _gap: f"%{next(number)}", template)


def _is_sentence(text: str, raised: bool) -> bool:
    words = re.findall(r"[A-Za-z]{2,}", text)
    plain = len(words) >= 2 and " " in text and not _NONE.search(text)
    return plain and (raised or bool(_SENTENCE.search(text)))
