"""Model servers that come as images of others: what they are called, where they listen, how they are told their model.

They are for clusters: their images have no lock from which a laptop could make them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from atelier_core.flavor import GIB
from atelier_core.workload import Port, Resources

TRITON, VLLM = "triton", "vllm"


@dataclass(frozen=True)
class ModelServer:
    """One of them. `image` is the name of the image that is taken where the definition names none.

    The first of `ports` is the one that the gateway leads to; `health` answers 200 as soon as the model is loaded.
    """

    name: str
    image: str
    ports: tuple[Port, ...]
    health: str
    resources: Resources
    env: dict[str, str] = field(default_factory=dict)


_SERVERS = {
    TRITON: ModelServer(
        name=TRITON,
        image="serve-triton",
        ports=(Port(name="http", port=8000), Port(name="grpc", port=8001), Port(name="metrics", port=8002)),
        health="/v2/health/ready",
        resources=Resources(cpu=1, memory=4 * GIB),
    ),
    VLLM: ModelServer(
        name=VLLM,
        image="serve-vllm",
        ports=(Port(name="http", port=8000),),
        health="/health",
        resources=Resources(cpu=2, memory=16 * GIB),
        env={"VLLM_NO_USAGE_STATS": "1"},
    ),
}
MODEL_SERVERS = tuple(_SERVERS)


def find(name: str) -> ModelServer:
    """The server of this name, which is one of `MODEL_SERVERS`."""
    return _SERVERS[name]


def command(server: str, service: str, model: str, grace: float, accelerators: int, more: Sequence[str]) -> list[str]:
    """What the container runs. `model` is a path, or for vLLM the name of a model that it fetches itself; what a
    person says in `more` comes last and wins."""
    ports = {port.name: port.port for port in find(server).ports}
    if server == TRITON:
        options = {f"--{name}-port": port for name, port in ports.items()}
        named = [f"{name}={value}" for name, value in options.items()]
        return ["tritonserver", f"--model-repository={model}", *named, f"--exit-timeout-secs={grace:.0f}", *more]
    spread = ["--tensor-parallel-size", str(accelerators)] if accelerators > 1 else []
    words = ["vllm", "serve", model, "--served-model-name", service, "--host", "0.0.0.0", "--port", str(ports["http"])]  # noqa: S104
    return [*words, *spread, *more]
