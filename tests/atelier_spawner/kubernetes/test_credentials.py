"""Credentials that expire, as those of the plugins of EKS, GKE and AKS do after minutes."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path
from typing import Any

import pytest

from atelier_core.errors import BackendUnavailable
from atelier_spawner.kubernetes.api import Api, ApiError
from atelier_spawner.kubernetes.options import KubernetesOptions
from tests.harness.kube_api import KubeApi

PODS = "/api/v1/pods"


class Plugin:
    """A program of a kubeconfig that says which credentials count; counts how often it was asked."""

    def __init__(self, folder: Path) -> None:
        self.program, self._token, self._asked = folder / "plugin", folder / "token", folder / "asked"
        answer = '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s"}}'
        token, asked = shlex.quote(str(self._token)), shlex.quote(str(self._asked))
        self.program.write_text(f'#!/bin/sh\necho x >> {asked}\nprintf {shlex.quote(answer)} "$(cat {token})"\n')
        self.program.chmod(0o755)

    @property
    def user(self) -> dict[str, Any]:
        command = {"command": str(self.program), "interactiveMode": "Never"}
        return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", **command}}

    @property
    def asked(self) -> int:
        return len(self._asked.read_text().split())

    def gives(self, token: str) -> None:
        self._token.write_text(token)


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path)


async def test_a_plugin_is_asked_again_when_its_token_expired(
    quiet_cluster: KubeApi, plugin: Plugin, tmp_path: Path
) -> None:
    quiet_cluster.tokens = {"first"}
    plugin.gives("first")
    api = await Api.connect(KubernetesOptions(kubeconfig=quiet_cluster.kubeconfig(tmp_path / "kc", plugin.user)))
    await api.get("/version")
    quiet_cluster.tokens = {"second"}
    plugin.gives("second")
    await asyncio.gather(*(api.get("/version") for _ in range(5)))
    assert plugin.asked == 2  # once for all who were refused
    quiet_cluster.tokens = {"third"}
    plugin.gives("third")
    version = (await api.list(PODS))["metadata"]["resourceVersion"]
    quiet_cluster.tokens = {"fourth"}
    plugin.gives("fourth")
    async for _ in api.watch(PODS, version, timeoutSeconds=0):
        pass
    quiet_cluster.tokens = {"fifth"}
    with pytest.raises(ApiError, match="401"):
        await api.get("/version")
    plugin.gives("fifth")
    with pytest.raises(ApiError) as no_socket:
        await api.websocket("/version", [], "v4.channel.k8s.io")
    assert no_socket.value.status == 200  # let in, but this is no place for a websocket
    await api.close()


async def test_a_file_that_was_written_anew_counts(quiet_cluster: KubeApi, tmp_path: Path) -> None:
    """As after another sign-in, also when the server has another address then."""
    quiet_cluster.tokens = {"old"}
    path = tmp_path / "kc"
    api = await Api.connect(KubernetesOptions(kubeconfig=quiet_cluster.kubeconfig(path, {"token": "old"})))
    await api.get("/version")
    quiet_cluster.tokens = {"new"}
    path.write_text("{")
    with pytest.raises(ApiError, match="401"):
        await api.get("/version")
    quiet_cluster.url = quiet_cluster.url.replace("127.0.0.1", "localhost")
    quiet_cluster.kubeconfig(path, {"token": "new"})
    assert (await api.get("/version"))["gitVersion"]
    await api.close()


@pytest.mark.parametrize("text", ["{", "[1]", ""])
async def test_a_file_that_is_no_kubeconfig_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "kc").write_text(text)
    with pytest.raises(BackendUnavailable, match="cannot be read"):
        await Api.connect(KubernetesOptions(kubeconfig=str(tmp_path / "kc")))
