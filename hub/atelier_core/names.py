"""Names of users and projects, and names of cluster objects derived from them."""

from __future__ import annotations

import hashlib
import re

from atelier_core.errors import Invalid

PROJECT_NAME = re.compile(r"[a-z][a-z0-9-]{0,29}")
_PLAIN_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,200}")
_UNSAFE = re.compile(r"[^a-z0-9]+")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_HASHED = re.compile(r".*-{2}[0-9a-f]{8}")


def check_project_name(name: str) -> str:
    """Return `name` if a project may be called that; user and project names share one name space."""
    if not PROJECT_NAME.fullmatch(name) or name.endswith("-"):
        raise Invalid(
            f"{name!r} is not a project name.",
            code="bad_name",
            hint="Use 1 to 30 lower-case letters, digits and dashes; start with a letter, end without a dash.",
        )
    return name


def personal_name(user: str) -> str:
    """The name of a user's personal project: the user's own, made safe where it could not be part of a path."""
    return user if _PLAIN_USER.fullmatch(user) and ".." not in user else slug(user)


def slug(text: str, limit: int = 40) -> str:
    """A name that is valid as a DNS label and that no other text shares.

    Text that already is a valid label of at most `limit` characters stays as it is; any other gets a hash of the
    whole text appended, so two texts never end up with the same name. A text that looks like a hashed name is hashed
    again for the same reason.
    """
    plain = _UNSAFE.sub("-", text.lower()).strip("-")
    if plain == text and len(plain) <= limit and plain[:1].isalpha() and not _HASHED.fullmatch(text):
        return plain
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    head = plain if plain[:1].isalpha() else f"x-{plain}"
    return f"{head[: limit - 10].rstrip('-')}--{digest}"


def label(text: str, limit: int = 63) -> str:
    """As `slug`, but whatever a DNS label may hold stays as it is, also a digit in front or two dashes in a row.

    For what goes by the names of projects and users: who they belong to must not change with how it is written.
    """
    fits = len(text) <= limit and _LABEL.fullmatch(text) and not _HASHED.fullmatch(text)
    return text if fits else slug(text, limit)


def attempt_id(run_id: str, step_name: str, number: int) -> str:
    """The deterministic name of one attempt, the same on every engine: at most 63 characters, a DNS label."""
    return f"{run_id}-{slug(step_name, 30)}-{number}"
