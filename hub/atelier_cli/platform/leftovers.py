"""What of ours runs on a cluster without this platform knowing of it, as after an older backup was restored.

It is only told: it may be another platform's that calls itself the same, and that one would miss it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing

from atelier_cli.platform.backends import cluster_options
from atelier_cli.platform.layout import Layout, Settings
from atelier_cli.platform.results import Check, bad, good, skipped
from atelier_core.errors import AtelierError
from atelier_spawner.kubernetes.api import DEPLOYMENTS, JOBS, PODS, SECRETS, SERVICES, Api, ApiError
from atelier_spawner.kubernetes.labels import WORKLOAD, selector
from atelier_spawner.kubernetes.options import KubernetesOptions

_NAME = "left over"
_KINDS = (DEPLOYMENTS, JOBS, PODS, SERVICES, SECRETS)
_SHOWN = 10


def left_over(layout: Layout, settings: Settings) -> Iterator[Check]:
    """Workloads on the configured cluster that no attempt of the database stands for."""
    if not settings.kubeconfig:
        return
    try:
        options = cluster_options(settings)
        # In this order: an attempt is stored before anything of it is made.
        there = asyncio.run(_workloads(options))
        known = _attempts(layout)
    except (AtelierError, ApiError, sqlite3.Error) as error:
        yield skipped(_NAME, f"cannot be told now: {error}")
        return
    strange = {namespace: sorted(ids - known) for namespace, ids in sorted(there.items()) if ids - known}
    if not strange:
        yield good(_NAME, "nothing runs on the cluster that this platform does not know")
        return
    names = [each for ids in strange.values() for each in ids]
    listed = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    yield bad(
        _NAME,
        f"this platform knows nothing of {listed}, as after an older backup was restored.",
        f"If no other platform uses the cluster with instance={options.instance}: "
        + " && ".join(_delete(options, namespace, ids) for namespace, ids in strange.items()),
    )


async def _workloads(options: KubernetesOptions) -> dict[str, set[str]]:
    """The workloads of the instance by namespace, also those of which only a secret is left."""
    found: dict[str, set[str]] = {}
    api = await Api.connect(options)
    try:
        for kind in _KINDS:
            for item in (await api.list(kind.path(), selector(options)))["items"]:
                metadata = item["metadata"]
                if metadata["namespace"].startswith(options.namespace_prefix):
                    found.setdefault(metadata["namespace"], set()).add(metadata["labels"][WORKLOAD])
    finally:
        await api.close()
    return found


def _attempts(layout: Layout) -> set[str]:
    path = layout.control_plane / "atelier.sqlite"
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)) as db:
        return {str(row[0]) for row in db.execute("SELECT id FROM attempts")}


def _delete(options: KubernetesOptions, namespace: str, ids: list[str]) -> str:
    kinds = ",".join(kind.plural for kind in _KINDS)
    return f"kubectl delete {kinds} -n {namespace} -l '{selector(options)},{WORKLOAD} in ({','.join(ids)})'"
