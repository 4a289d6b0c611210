"""References to models, names, aliases, and the names of workspaces."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier_core.errors import Invalid
from atelier_core.registry import ModelReference, check_alias, check_name, parse_reference, workspace_name


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("models:/digits/3", ModelReference("digits", 3)),
        ("models:/digits@production", ModelReference("digits", None, "production")),
        ("models:/digits/latest", ModelReference("digits")),
        (" models:/My model/12 ", ModelReference("My model", 12)),
    ],
)
def test_references(text: str, found: ModelReference) -> None:
    assert parse_reference(text) == found
    assert parse_reference(str(found)) == found


@pytest.mark.parametrize(
    "text",
    ["digits", "models:/digits", "models:/digits/0", "models:/a/b/1", "models:/@x", "models:/a@", "runs:/1/model"],
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(Invalid, match="not a reference"):
        parse_reference(text)


def test_names_and_aliases() -> None:
    assert check_name("Digits-2.0_b") and check_alias("production")
    for name in ("", "a b", "a/b", "-a", "ä", "a" * 101):
        with pytest.raises(Invalid):
            check_name(name)
    for alias in ("", "latest", "v12", "A", "3", "a b", "a" * 61):
        with pytest.raises(Invalid):
            check_alias(alias)


def test_workspaces_are_what_mlflow_takes() -> None:
    assert workspace_name("team-a") == "team-a"
    names = ["a", "default", "api", "workspaces", "Anna.K@example", "anna-k-example", "x" * 200, "default--00000000"]
    found = [workspace_name(name) for name in names]
    assert len(set(found)) == len(names) and not set(found) & {"default", "api", "workspaces"}
    assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", one) and 2 <= len(one) <= 63 for one in found)


@given(st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1, max_size=80), st.text(max_size=80))
def test_no_two_projects_share_a_workspace(one: str, other: str) -> None:
    assert (workspace_name(one) == workspace_name(other)) == (one == other)
