"""The token file is private, or it is not used."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from atelier_sdk import AtelierError, Credentials, NotSignedIn, credentials

MINE = Credentials(url="http://127.0.0.1:8000/services/atelier", token="abc")


def test_saved_for_the_owner_alone(tmp_path: Path) -> None:
    path = credentials.save(MINE, tmp_path / "atelier" / "credentials.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert credentials.load(path) == MINE
    credentials.save(MINE.model_copy(update={"token": "new"}), path)
    assert credentials.load(path).token == "new"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_exposed_is_refused(tmp_path: Path, mode: int) -> None:
    path = credentials.save(MINE, tmp_path / "credentials.json")
    path.chmod(mode)
    with pytest.raises(AtelierError) as caught:
        credentials.load(path)
    assert caught.value.code == "credentials_exposed"
    assert "chmod 600" in caught.value.hint


@pytest.mark.parametrize("text", ["", "{", "[]", '{"url": "x"}', '{"url": 1, "token": null}'])
def test_damaged_says_how_to_sign_in_again(tmp_path: Path, text: str) -> None:
    path = tmp_path / "credentials.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(NotSignedIn) as caught:
        credentials.load(path)
    assert "atelier login" in caught.value.hint


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(NotSignedIn, match="not signed in") as caught:
        credentials.load(tmp_path / "none.json")
    assert "atelier up" in caught.value.hint
