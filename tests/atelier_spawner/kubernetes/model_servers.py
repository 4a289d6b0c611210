"""Replicas of Triton and vLLM as the control plane makes them: from a definition to the manifests of a pod."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from atelier_core.flavor import GIB, Flavor
from atelier_core.service import validate
from atelier_core.workload import WorkloadSpec
from atelier_hub.artifacts.store import ArtifactStore
from atelier_hub.features.serving.plan import AttemptContext, Content, build_spec
from atelier_hub.features.serving.sources import ServingOffer, Source, make_plan
from atelier_spawner.kubernetes.options import KubernetesOptions
from atelier_spawner.kubernetes.pods import Build
from atelier_spawner.kubernetes.workloads import runners, secrets, services
from atelier_templates.images import load_images

GPU = Flavor(name="gpu", cpu=8, memory=64 * GIB, accelerator="nvidia.com/gpu", accelerators=2)
DEFINITIONS = {
    "triton": {"name": "reader", "server": "triton", "dataset": "dataset:repository@1"},
    "vllm": {"name": "chat", "server": "vllm", "dataset": "dataset:weights@1", "flavor": "gpu"},
    "vllm-fetches": {
        "name": "chat", "server": "vllm", "repository": "Qwen/Qwen3-0.6B", "flavor": "gpu",
        "secrets": {"HF_TOKEN": "hub"}, "arguments": ["--max-model-len", "4096"],
    },
}  # fmt: skip
OFFER = ServingOffer(
    images=load_images(),
    flavors={"gpu": GPU},
    backends={"local": "local", "cluster": "kubernetes"},
    default_backend="cluster",
    server="",
)


def spec_of(name: str, folder: Path, project: str = "demo", **changes: Any) -> WorkloadSpec:
    """One replica of a definition."""
    definition = validate(DEFINITIONS[name] | changes)
    source = None
    if definition.dataset:
        source = Source(definition.dataset, Content(files=(("config.json", 3, "sha256:" + "a" * 64),)))
    plan = make_plan(OFFER, ArtifactStore(folder.as_uri()), definition, source, number=1, backend="cluster")
    context = AttemptContext(
        attempt=f"s-{name}-1-1", project=project, service=definition.name, revision=1, owner="ann",
        url="http://10.0.0.1:8000", token="token", secrets={"hub": "secret"},
    )  # fmt: skip
    return build_spec(plan, context)


def manifests_of(spec: WorkloadSpec, options: KubernetesOptions) -> list[dict[str, Any]]:
    """Everything that is made for it."""
    build = Build(options, spec, load_images())
    return [*secrets(build), *services(build), *runners(build)]
