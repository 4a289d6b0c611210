"""What runs on a cluster without the platform knowing of it."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

from atelier_cli.platform.layout import Layout, Settings
from atelier_cli.platform.leftovers import left_over
from atelier_cli.platform.results import Check
from atelier_hub import features
from atelier_hub.db import Database
from atelier_hub.db.migrate import migrate
from atelier_hub.engine.store import NewAttempt, draft_attempt, insert_attempts
from atelier_hub.engine.tokens import AttemptTokens
from atelier_hub.features.projects.store import ProjectRow
from tests.harness.kube_api import KubeApi, Object, kube_api


def made(workload: str, kind: str, namespace: str = "atelier-demo", instance: str = "atelier") -> tuple[str, Object]:
    labels = {"app.kubernetes.io/managed-by": "atelier", "atelier.dev/instance": instance}
    labels["atelier.dev/workload"] = workload
    return kind, {"metadata": {"name": workload, "namespace": namespace, "labels": labels}}


def database_with(layout: Layout, attempt: str) -> None:
    """As the control plane leaves it."""
    features.import_tables()
    layout.control_plane.mkdir(parents=True)
    with closing(Database(f"sqlite:///{layout.control_plane}/atelier.sqlite")) as db:
        migrate(db)
        with db.write() as session:
            session.add(ProjectRow(name="demo", created_by="ada"))
            session.flush()
            draft = draft_attempt(NewAttempt(attempt, "demo", "step", "r1", "step", 1, "cluster"))
            insert_attempts(session, [draft], AttemptTokens(b"key"))


async def test_doctor_names_what_an_older_backup_does_not_know(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    async with kube_api() as api:
        settings = Settings(kubeconfig=api.kubeconfig(tmp_path / "kubeconfig"))

        async def checked() -> Check:
            (check,) = await asyncio.to_thread(lambda: list(left_over(layout, settings)))
            return check

        assert (await checked()).state == "skipped"  # there is no database yet
        database_with(layout, "r1-step-1")
        fill(api)
        assert (await checked()).state == "good"
        for kind, item in (made("r2-step-1", "deployments"), made("r3-step-1", "secrets", "atelier-other")):
            api.put(kind, item)
        found = await checked()
        assert found.state == "bad" and "knows nothing of r2-step-1, r3-step-1," in found.message
        assert "instance=atelier" in found.hint and "-n atelier-other -l '" in found.hint
        assert "atelier.dev/workload in (r2-step-1)" in found.hint and "r1-step-1" not in found.hint
        before = list(api.objects)
    assert list(api.objects) == before and not [method for method, _ in api.requests if method != "GET"]


def fill(api: KubeApi) -> None:
    """What it knows, and what is not its own."""
    for kind, item in (
        made("r1-step-1", "pods"),
        made("r8-step-1", "pods", namespace="elsewhere"),
        made("r9-step-1", "pods", instance="another"),
    ):
        api.put(kind, item)


def test_nobody_is_asked_where_there_is_no_cluster(tmp_path: Path) -> None:
    assert list(left_over(Layout(tmp_path), Settings())) == []
