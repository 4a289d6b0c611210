"""What a person sees of a run, on a screen and in a log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
import pytest
from rich.console import Console

from atelier_cli.output import duration, seconds
from atelier_cli.pipeline import parse_parameters, read_document
from atelier_cli.progress import Progress, lines
from atelier_cli.watching import concerns
from atelier_sdk import AtelierError
from atelier_sdk.models import Event, Run, Step, Usage

START = datetime(2026, 1, 1, tzinfo=UTC)


def step(name: str, state: str, **fields: object) -> Step:
    return Step.model_validate({"name": name, "state": state, **fields})


def drawn(progress: Progress, width: int = 100, height: int = 20) -> str:
    console = Console(width=width, height=height, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(progress)
    console.file.close()
    return console.export_text()


def test_a_run_is_drawn_with_state_time_reason_and_tries() -> None:
    steps = [
        step("a", "done", label="Load", started_at=START, ended_at=START + timedelta(seconds=3.25)),
        step("b", "failed", label="Train", reason="OOMKilled", message="needs more\nthan that", attempt=2),
        step("c", "skipped", label="Evaluate"),
    ]
    text = drawn(Progress(Run(id="r1", name="digits", state="failed", on="local"), steps))
    assert "digits r1" in text
    assert "1 of 3 steps" in text
    assert "3.2 s" in text
    assert "OOMKilled · needs more · attempt 2" in text
    assert "than that" not in text


def test_a_large_run_fits_the_screen_and_shows_what_matters() -> None:
    steps = [step(f"s{n}", "done") for n in range(200)] + [step("bad", "failed"), step("busy", "running")]
    steps += [step(f"w{n}", "waiting") for n in range(100)]
    text = drawn(Progress(Run(id="r", state="running"), steps), height=15)
    assert len(text.splitlines()) <= 15
    assert "bad" in text
    assert "busy" in text
    assert "200 done" in text


@pytest.mark.parametrize("width", [20, 40, 200])
def test_any_width(width: int) -> None:
    steps = [step("x" * 300, "running", message="m" * 300), step("[bold]", "queued")]
    text = drawn(Progress(Run(id="r", state="running"), steps), width=width)
    assert all(len(line) <= width for line in text.splitlines())


def test_only_changes_are_told() -> None:
    progress = Progress(Run(id="r", state="queued"))
    run = Run(id="r", state="running")
    first = [step("a", "running"), step("b", "waiting")]
    assert progress.update(run, first) == (first, True)
    assert progress.update(run, list(first)) == ([], False)
    second = [step("a", "done"), step("b", "queued")]
    changed, _ = progress.update(run, second)
    assert [line.split()[1:3] for line in lines(changed)] == [["done", "a"], ["queued", "b"]]


def test_waiting_is_not_worth_a_line() -> None:
    assert list(lines([step("a", "waiting")])) == []


def test_events_of_the_run_and_its_steps() -> None:
    assert concerns(Event(id=1, kind="run.done", subject="r1"), "r1")
    assert concerns(Event(id=1, kind="step.done", subject="r1/train"), "r1")
    assert concerns(Event(id=1, kind="attempt.done", subject="x", data={"run": "r1"}), "r1")
    assert not concerns(Event(id=1, kind="run.done", subject="r12"), "r1")


def test_durations() -> None:
    assert [duration(value) for value in (None, 0.04, 59.94, 61, 3723)] == ["", "0.0 s", "59.9 s", "1:01", "1:02:03"]
    assert seconds(None, None) is None
    assert seconds(START, START - timedelta(seconds=1)) == 0


def test_parameters_go_as_they_were_typed() -> None:
    assert parse_parameters(("n=5", "empty=", "eq=a=b", "n=6")) == {"n": "6", "empty": "", "eq": "a=b"}
    with pytest.raises(click.BadParameter, match="NAME=VALUE"):
        parse_parameters(("novalue",))


def test_a_broken_file_names_the_place(tmp_path) -> None:
    file = tmp_path / "x.pipeline"
    for content, why in (
        (b'{"a": 1,\n  "b" 2}', "line 2, column 7"),
        (b"\xff\xfe\x00", "not text"),
        (b'{"a":' + b"[" * 100_000, "nested too deeply"),
        (b'{"a": NaN}', "NaN is no JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "5000 digits"),
    ):
        file.write_bytes(content)
        with pytest.raises(AtelierError, match=why) as refused:
            read_document(file)
        assert refused.value.code == "not_a_pipeline" and refused.value.hint


def test_what_a_running_step_uses_is_drawn_beside_it() -> None:
    used = {
        "a": Usage(cpu=1.934, memory=312_400_000, gpu=87.2, gpu_memory=12_100_000_000),
        "b": Usage(message="Nothing was measured yet."),
        "c": Usage(cpu=1, memory=1),
    }
    steps = [step("a", "running"), step("b", "running"), step("c", "done")]
    text = drawn(Progress(Run(id="r1", state="running"), steps, usage=used.get))
    assert "1.93 CPU  312 MB  GPU 87 %, 12.1 GB" in text
    assert text.count("CPU") == 1
