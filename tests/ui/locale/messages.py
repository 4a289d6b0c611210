"""The strings of the Lab extension, read out of its sources and out of the templates that it shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import atelier_templates
from atelier_core import flavor

ROOT = Path(__file__).parents[3]
SOURCES = ROOT / "labextensions" / "packages"
CATALOG = ROOT / "server_extensions" / "atelier_server" / "locale" / "zh_CN" / "LC_MESSAGES" / "atelier.json"

_CALL = re.compile(r"\.(__|_n|_p|_np)\(\s*")
_TEXT = re.compile(
    r"""\s*(?:'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\$]|\\.)*)`)\s*(,|\)|\+)""", re.DOTALL
)
_WANTED = {"__": 1, "_n": 2, "_p": 2, "_np": 3}
_ESCAPES = {"n": "\n", "t": "\t"}
_SAID = ("label", "category", "title", "description", "group")  # as `inWords` has them
_CHOICE = re.compile(r"[a-z][a-z-]{2,}")  # other values are names: l2, macro_f1


@dataclass(frozen=True)
class Message:
    """One string as the catalog calls it, and where it stands."""

    key: str
    forms: tuple[str, ...]
    place: str


def messages() -> list[Message]:
    """Every string that goes through the translator; one that is no literal is an error, nobody could translate it."""
    found: list[Message] = []
    for path in sorted(SOURCES.glob("*/src/**/*.ts*")):
        source = path.read_text("utf-8")
        for call in _CALL.finditer(source):
            line = source.count("\n", 0, call.start()) + 1
            found.append(_message(source, call, f"{path.relative_to(ROOT)}:{line}"))
    for manifest in sorted(Path(atelier_templates.__file__).parent.glob("*/template.yaml")):
        place = f"{manifest.parent.name}/{manifest.name}"
        template = yaml.safe_load(manifest.read_text("utf-8"))
        shown = {key: template.get(key) for key in ("label", "category", "description")}
        for part in (shown, template.get("parameters"), template.get("inputs"), template.get("outputs")):
            found += [Message(text, (text.split("\x04")[-1],), place) for text in _said(part)]
    for image in sorted(Path(atelier_templates.__file__).parent.glob("images/*/image.yaml")):
        text = yaml.safe_load(image.read_text("utf-8"))["description"]
        found.append(Message(text, (text,), f"{image.parent.name}/{image.name}"))
    return found + [Message(one.description, (one.description,), "flavor.py") for one in flavor.DEFAULTS]


def _said(part: Any) -> Iterator[str]:
    """What of a template's manifest people read."""
    for key, value in part.items() if isinstance(part, dict) else enumerate(part if isinstance(part, list) else ()):
        if key in _SAID and isinstance(value, str) and value:
            yield value
        elif key == "enum":
            yield from (f"choice\x04{one}" for one in value if _CHOICE.fullmatch(str(one)))
        elif key != "default":
            yield from _said(value)


def _message(source: str, call: re.Match[str], place: str) -> Message:
    texts, at = [], call.end()
    for _ in range(_WANTED[call[1]]):
        text = _TEXT.match(source, at)
        if text is None or text[4] == "+":
            raise ValueError(f"{place}: the translator takes plain strings only")
        texts.append(
            re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), text[1] or text[2] or text[3] or "")
        )
        at = text.end()
    context = f"{texts.pop(0)}\x04" if call[1] in {"_p", "_np"} else ""
    return Message(context + texts[0], tuple(texts), place)


def catalog() -> dict[str, list[str]]:
    """The Chinese texts by string."""
    loaded: dict[str, list[str]] = json.loads(CATALOG.read_text("utf-8"))
    return {key: value for key, value in loaded.items() if key}
