"""Datasets: names, references, manifests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier_core.dataset import (
    DatasetReference,
    ManifestFile,
    check_manifest,
    check_name,
    check_uri,
    kind_of,
    manifest_digest,
    parse_reference,
)
from atelier_core.errors import Invalid

SHA = "sha256:" + "a" * 64


def file(path: str, size: int = 1, digest: str = SHA) -> ManifestFile:
    return ManifestFile(path, size, digest)


@pytest.mark.parametrize("name", ["iris", "a", "mnist-2024.v1_x", "a" * 60])
def test_good_names(name: str) -> None:
    assert check_name(name) == name
    assert parse_reference(f"dataset:{name}@3") == DatasetReference(name, 3)
    assert str(DatasetReference(name, 3)) == f"dataset:{name}@3" and str(DatasetReference(name)) == f"dataset:{name}"


@pytest.mark.parametrize("name", ["", "Iris", "1a", "a" * 61, "a b", "a/b", "é", "a@1"])
def test_bad_names(name: str) -> None:
    with pytest.raises(Invalid):
        check_name(name)


@pytest.mark.parametrize(
    "text", ["dataset:", "dataset:Iris", "dataset:iris@", "dataset:iris@0", "dataset:iris@x", "dataset:a@1@2"]
)
def test_broken_references(text: str) -> None:
    with pytest.raises(Invalid, match="not a reference"):
        parse_reference(text)


@pytest.mark.parametrize("text", ["", "iris", "data.csv", "builtin:digits", "datasets:x"])
def test_what_is_no_reference(text: str) -> None:
    assert parse_reference(text) is None


@pytest.mark.parametrize(
    "path", ["", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a\\b", "a\0b", "a\nb", "x" * 1001, "é" * 200, "."]
)
def test_paths_that_lead_astray(path: str) -> None:
    with pytest.raises(Invalid):
        check_manifest([file(path)])


def test_files_that_could_not_lie_together() -> None:
    for files in ([], [file("a"), file("a")], [file("a"), file("a/b")], [file("a", -1)], [file("a", 1, "sha256:x")]):
        with pytest.raises(Invalid):
            check_manifest(files)
    assert check_manifest([file("a-b"), file("a/b")])


def test_the_same_files_are_the_same_version() -> None:
    one, two = file("b/c.csv", 3), file("a.csv", 5)
    assert manifest_digest(check_manifest([one, two])) == manifest_digest(check_manifest([two, one]))
    assert manifest_digest([one]) != manifest_digest([file("b/c.csv", 4)])
    assert kind_of([two]) == "file" and kind_of([one]) == "folder" and kind_of([one, two]) == "folder"


@pytest.mark.parametrize("uri", ["s3://bucket/folder", "https://example.org/a.csv?x=1", "hf://datasets/x", "gs://b"])
def test_good_addresses(uri: str) -> None:
    assert check_uri(uri) == uri


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "bucket/folder",
        "file:///etc/passwd",
        "https://",
        "https://u:secret@example.org/x",
        "s3://a b",
        "http://[",
        "a\nb:",
    ],
)
def test_bad_addresses(uri: str) -> None:
    with pytest.raises(Invalid):
        check_uri(uri)


@given(st.text())
def test_any_text_is_a_reference_or_none_or_refused(text: str) -> None:
    for tried in (text, f"dataset:{text}"):
        try:
            found = parse_reference(tried)
        except Invalid:
            continue
        assert found is None or parse_reference(str(found)) == found
