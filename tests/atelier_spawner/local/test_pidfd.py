"""Descriptors of processes, with a Python that has functions for them and with one that does not."""

from __future__ import annotations

import os
import select
import signal
import subprocess

import pytest

from atelier_spawner.local.pidfd import pidfd_open, pidfd_send_signal


@pytest.fixture(params=["as it is", "as uv installs it"])
def python(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this Python has."""
    if request.param == "as uv installs it":
        monkeypatch.delattr(os, "pidfd_open", raising=False)
        monkeypatch.delattr(signal, "pidfd_send_signal", raising=False)


@pytest.mark.usefixtures("python")
def test_a_process_is_ended_and_its_end_is_seen() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        descriptor = pidfd_open(process.pid)
        assert not os.get_inheritable(descriptor)
        assert select.select([descriptor], [], [], 0) == ([], [], [])
        pidfd_send_signal(descriptor, signal.SIGTERM)
        assert select.select([descriptor], [], [], 30)[0] == [descriptor]
    assert process.returncode == -signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        pidfd_send_signal(descriptor, signal.SIGTERM)
    os.close(descriptor)


@pytest.mark.usefixtures("python")
def test_a_process_that_is_not_there() -> None:
    with subprocess.Popen(["true"]) as process:
        pass
    with pytest.raises(ProcessLookupError):
        pidfd_open(process.pid)
