"""Kernels of images: a notebook has what a step in the same image has, and our client beside it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager, start_new_kernel

from atelier_spawner.notebooks.kernels import PREFIX, write_kernels
from atelier_spawner.notebooks.local import LocalNotebookSpawner, past_proxies
from atelier_templates.images import load_images
from tests.harness.control_plane import environment_cache

BUILD_SECONDS = 280


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The platform's cache, with the environments that other tests have made."""
    folder = tmp_path / "cache"
    folder.mkdir()
    envs = environment_cache() / "envs"
    envs.mkdir(parents=True, exist_ok=True)
    (folder / "envs").symlink_to(envs)
    return folder


@pytest.fixture
def kernel(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    """The kernel of the image `ml`, as Jupyter starts it."""
    monkeypatch.setenv("JUPYTER_PATH", str(write_kernels(cache, load_images())))
    manager, client = start_new_kernel(startup_timeout=BUILD_SECONDS, kernel_name=f"{PREFIX}ml")
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_it_runs_in_the_environment_of_the_steps(
    kernel: tuple[KernelManager, BlockingKernelClient], cache: Path
) -> None:
    manager, client = kernel
    said: list[str] = []
    code = "import sys, sklearn, mlflow, atelier_sdk; print(sys.prefix); atelier_sdk.Client"

    def hear(message: dict[str, object]) -> None:
        said.append(json.dumps(message["content"]))

    answer = client.execute_interactive(code, timeout=60, output_hook=hear)
    assert answer["content"]["status"] == "ok", said
    assert str(cache / "envs") in "".join(said)

    def interrupt(message: dict[str, object]) -> None:
        if "asleep" in json.dumps(message["content"]) and message["msg_type"] == "stream":
            manager.interrupt_kernel()

    sleep = "import time; print('asleep', flush=True); time.sleep(60)"
    answer = client.execute_interactive(sleep, timeout=30, output_hook=interrupt)
    assert answer["content"]["ename"] == "KeyboardInterrupt"


def test_only_images_with_a_kernel_are_offered_and_everybody_can_read_them(cache: Path) -> None:
    images = load_images()
    before = os.umask(0o077)
    try:
        root = write_kernels(cache, {name: images[name] for name in ("ml", "python", "serve-sklearn")})
        assert [one.name for one in (root / "kernels").iterdir()] == [f"{PREFIX}ml"]
        write_kernels(cache, images)
    finally:
        os.umask(before)
    found = KernelSpecManager(kernel_dirs=[str(root / "kernels")]).get_all_specs()
    spec = found[f"{PREFIX}ml"]["spec"]
    assert spec["display_name"] == "Python (image ml)" and spec["argv"][-1] == "{connection_file}"
    for path in (root, *root.rglob("*")):
        mode = path.stat().st_mode
        assert mode & stat.S_IROTH and (path.is_file() or mode & stat.S_IXOTH), path
    write_kernels(cache, {})
    assert list((root / "kernels").iterdir()) == []


def test_what_cannot_start_says_why(cache: Path) -> None:
    command = [sys.executable, "-m", "atelier_spawner.notebooks.kernel", "no-such", str(cache), "connection.json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "There is no image 'no-such' here. Known images:" in ended.stderr and "Traceback" not in ended.stderr


def test_a_server_starts_without_kernels_where_they_cannot_be_written(tmp_path: Path) -> None:
    in_the_way = tmp_path / "cache"
    in_the_way.write_text("")
    assert LocalNotebookSpawner(cache_dir=str(in_the_way)).kernels() == ""
    assert LocalNotebookSpawner(cache_dir=str(tmp_path / "free")).kernels() == str(tmp_path / "free" / "jupyter")


def test_certificates_reach_every_server_and_what_may_hold_passwords_only_that_of_one_person() -> None:
    alone, several = (set(LocalNotebookSpawner(one_person=why).env_keep) for why in ("a test", ""))
    assert "SSL_CERT_FILE" in alone & several
    assert alone - several >= {"HTTPS_PROXY", "PIP_INDEX_URL", "UV_INDEX_URL"}


def test_the_platform_is_asked_past_a_proxy_which_would_see_tokens() -> None:
    env = {"HTTPS_PROXY": "http://proxy:3128", "no_proxy": "intern.example, 127.0.0.1"}
    found = past_proxies(env, "http://hub.example:8000/services/atelier", "")
    assert found["NO_PROXY"] == found["no_proxy"] == "intern.example,127.0.0.1,localhost,hub.example"
    assert past_proxies({"PATH": "/bin"}, "http://hub.example") == {}
