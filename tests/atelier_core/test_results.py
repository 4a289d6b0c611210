"""Result files: our form, Cube Studio's, and everything else that tasks write."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier_core.results import CHARTS, MAX_VIEWS, View, ViewKind, read, read_folder

FILES = {"a.csv", "b.png", "tree.json", "sub/page.html"}
OPTION = {"xAxis": {}, "series": [{"type": "line", "data": [1, 2]}]}


@pytest.mark.parametrize(
    ("item", "view"),
    [
        ({"metric_type": "table", "describe": "T", "file_path": "a.csv"}, View(ViewKind.TABLE, "T", file="a.csv")),
        ({"metric_type": "table", "file_path": "/mnt/ann/x/a.csv"}, View(ViewKind.TABLE, file="a.csv")),
        ({"metric_type": "image", "image": "./b.png"}, View(ViewKind.IMAGE, file="b.png")),
        ({"metric_type": "text", "text": "auc=0.8"}, View(ViewKind.TEXT, text="auc=0.8")),
        ({"metric_type": "html", "html": "<b>x</b>"}, View(ViewKind.HTML, text="<b>x</b>")),
        ({"metric_type": "html", "html": "sub/page.html"}, View(ViewKind.HTML, file="sub/page.html")),
        ({"metric_type": "iframe", "url": "https://x/y"}, View(ViewKind.IFRAME, url="https://x/y")),
        ({"metric_type": "echart-line", "file_path": "a.csv"}, View(ViewKind.ECHARTS, file="a.csv", chart="line")),
        (
            {"metric_type": "echart-tree", "file_path": "tree.json"},
            View(ViewKind.ECHARTS, file="tree.json", chart="tree"),
        ),
        (OPTION, View(ViewKind.ECHARTS, option=OPTION)),
        ({"metric_type": "echarts", "option": OPTION}, View(ViewKind.ECHARTS, option=OPTION)),
        ({"metric_type": "echarts", "option": json.dumps(OPTION)}, View(ViewKind.ECHARTS, option=OPTION)),
        ({"metric_type": "metrics", "metrics": {"auc": 1}}, View(ViewKind.METRICS, values={"auc": 1.0})),
        ({"kind": "Text", "title": "T", "text": 5}, View(ViewKind.TEXT, "T", text="5")),
    ],
)
def test_a_view(item: dict[str, Any], view: View) -> None:
    found = read(json.dumps(item), FILES)
    assert found.views == (view,)
    assert found.problems == ()
    assert read(json.dumps([item, item]), FILES).views == (view, view)


@pytest.mark.parametrize("chart", CHARTS)
def test_every_chart(chart: str) -> None:
    assert read(json.dumps({"metric_type": f"echart-{chart}", "file_path": "a.csv"}), FILES).views[0].chart == chart


@pytest.mark.parametrize(
    ("item", "says"),
    [
        (3, "not an object"),
        ({}, "no metric_type"),
        ({"metric_type": "hologram"}, "'hologram', which is not known"),
        ({"metric_type": "echart-cake", "file_path": "a.csv"}, "'cake'"),
        ({"metric_type": "table"}, "names no file in 'file_path'"),
        (
            {"metric_type": "table", "file_path": "/mnt/gone.csv"},
            r"not beside metric.json. Write it into \$ATELIER_RESULTS",
        ),
        ({"metric_type": "image", "image": "../../etc/passwd"}, "not beside"),
        ({"metric_type": "text"}, "has no text"),
        ({"metric_type": "iframe", "url": "javascript:alert(1)"}, "http"),
        ({"metric_type": "echarts", "option": "{"}, "not JSON"),
        ({"metric_type": "metrics", "metrics": {"auc": "high"}}, "'auc', which is not a number"),
        ({"metric_type": "metrics", "metrics": {"auc": 10**400}}, "not a number"),
        ({"metric_type": "metrics", "metrics": {}}, "no object of names and numbers"),
    ],
)
def test_what_cannot_be_shown_is_said_and_the_rest_is_shown(item: Any, says: str) -> None:
    found = read(json.dumps([item, {"metric_type": "text", "text": "x"}]), FILES)
    assert len(found.views) == 1
    assert len(found.problems) == 1
    assert re.search(says, found.problems[0])
    assert found.problems[0].startswith("View 1 of metric.json")


def test_broken_and_endless_files() -> None:
    assert "not JSON" in read(b"{\xff", FILES).problems[0]
    assert "not JSON" in read("[" * 100_000, FILES).problems[0]
    many = read(json.dumps([{"metric_type": "text", "text": "x"}] * (MAX_VIEWS + 1)), FILES)
    assert len(many.views) == MAX_VIEWS
    assert "first 200" in many.problems[0]


def test_numbers_that_json_does_not_have_do_not_reach_a_browser() -> None:
    found = read('{"metric_type": "echarts", "option": {"series": [NaN, Infinity]}}', FILES)
    assert found.views[0].option == {"series": [None, None]}


def test_a_folder(tmp_path: Path) -> None:
    assert read_folder(tmp_path).views == ()
    outside = tmp_path.parent / "secret.csv"
    outside.write_text("x")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "t.csv").write_text("a,b\n")
    (tmp_path / "link.csv").symlink_to(outside)
    views = [{"metric_type": "table", "file_path": name} for name in ("sub/t.csv", "link.csv")]
    (tmp_path / "metric.json").write_text(json.dumps(views))
    found = read_folder(tmp_path)
    assert [one.file for one in found.views] == ["sub/t.csv"]
    assert "link.csv" in found.problems[0]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
KINDS = st.sampled_from(["table", "image", "text", "html", "iframe", "echarts", "metrics", "echart-bar"])


@given(
    st.dictionaries(st.sampled_from(["file_path", "image", "text", "html", "url", "option", "metrics"]), JSON), KINDS
)
def test_any_view_is_shown_or_explained(item: dict[str, Any], kind: str) -> None:
    found = read(json.dumps({"metric_type": kind, **item}), FILES)
    assert len(found.views) + len(found.problems) == 1
