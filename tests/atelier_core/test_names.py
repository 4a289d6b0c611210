"""Names that are made of others."""

from __future__ import annotations

import re

import pytest

from atelier_core.names import label, personal_name, slug


@pytest.mark.parametrize("user", ["jane.doe", "bob@example.com", "Jane", "a+b", "9lives", "x" * 200])
def test_a_personal_project_is_called_like_its_user(user: str) -> None:
    assert personal_name(user) == user


@pytest.mark.parametrize("user", ["zoë", "a..b", "../x", "a/b", "-x", "", "x" * 300, "a b", "a\n"])
def test_unless_that_could_be_no_part_of_a_path(user: str) -> None:
    assert re.fullmatch(r"[a-z0-9-]{1,40}", personal_name(user)) and personal_name(user) == slug(user)


def test_labels_stay_and_all_else_gets_a_name_of_its_own() -> None:
    plain = ["a", "9", "a-b", "a--b", "x" * 63]
    odd = ["A", "a.b", "-a", "a-", "a\n", "", "x" * 64, "é", "a--0123abcd"]
    odd += [label(name) for name in odd]  # what one of them became is no way to it
    assert [label(name) for name in plain] == plain
    made = [label(name) for name in plain + odd]
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name) for name in made)
