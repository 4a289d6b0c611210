"""What `atelier up` left for the next time, when it is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from atelier_cli.platform import platform
from atelier_cli.platform.layout import Layout, Settings, load_secrets, load_settings, save_settings
from atelier_core.errors import Invalid


def test_settings_come_back(tmp_path: Path) -> None:
    layout, settings = Layout(tmp_path), Settings(port=8123, admin="ada", mlflow=False, cluster_options={"a": [1]})
    save_settings(layout, settings)
    assert load_settings(layout) == settings
    layout.settings.write_text('{"port": 8123, "of_a_later_version": 1}')
    assert load_settings(layout) == Settings(port=8123)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "1", '{"port": "hush"}', '{"admin": {}}', "\\0"])
def test_damaged_settings_are_a_sentence(tmp_path: Path, text: str) -> None:
    layout = Layout(tmp_path)
    layout.settings.write_text(text)
    with pytest.raises(Invalid, match=r"platform\.json is damaged") as refused:
        platform.status(layout)
    assert refused.value.code == "bad_settings" and refused.value.hint and "hush" not in refused.value.message


@pytest.mark.parametrize("text", ["", "{", "[]", '{"proxy": 1}'])
def test_damaged_secrets_are_a_sentence(tmp_path: Path, text: str) -> None:
    layout = Layout(tmp_path)
    layout.secrets.parent.mkdir()
    layout.secrets.write_text(text)
    with pytest.raises(Invalid, match=r"platform\.json is damaged") as refused:
        load_secrets(layout)
    assert refused.value.code == "bad_secrets" and refused.value.hint


@pytest.mark.parametrize("text", ["[]", "1", '{"pid": 1e400, "started": "a", "boot": "b"}'])
def test_a_damaged_record_is_none(tmp_path: Path, text: str) -> None:
    layout = Layout(tmp_path)
    layout.run.mkdir()
    layout.record("hub").write_text(text)
    assert not platform.status(layout)["running"]
