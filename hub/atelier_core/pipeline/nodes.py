"""One node at a time: the fields of its `StepPlan`, with every variable filled in and every mistake noted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from atelier_core.pipeline.document import Node
from atelier_core.pipeline.generic_nodes import generic_step
from atelier_core.pipeline.scope import ENV_NAME, Scope
from atelier_core.pipeline.template_nodes import template_step
from atelier_core.template import ResourceRequest, RetryRequest, parse_duration
from atelier_core.workload import Resources

if TYPE_CHECKING:
    from atelier_core.pipeline.compile import RunContext


def step_of(scope: Scope, node: Node) -> dict[str, Any] | None:
    """The fields of the node's step, or None where it is not known what the node is."""
    ports = scope.ports.get(node.id)
    if ports is None:
        return None
    base = template_step(scope, node, ports.template) if ports.template else generic_step(scope, node)
    fields = base | _own_fields(scope, node, base)
    fields["image"] = scope.image(fields["image"])
    fields["env"] = _environment(scope, node, fields)
    return fields


def _own_fields(scope: Scope, node: Node, base: dict[str, Any]) -> dict[str, Any]:
    """What every kind of node has, and what `app_data.atelier` changes about the kind's own settings."""
    extras = node.atelier
    parents = [parent for parent in node.parents() if parent in scope.names]
    return {
        "id": node.id,
        "name": scope.names[node.id],
        "label": node.name,
        "needs": tuple(scope.names[parent] for parent in parents),
        "outputs": scope.ports[node.id].outputs,
        "image": str(scope.fill(node, "image", extras.image) or base["image"]),
        "secrets": dict(extras.secrets),
        "resources": ResourceRequest.model_validate(extras.resources).over(base["resources"]),
        "retry": RetryRequest.model_validate(extras.retry).over(base["retry"]),
        "timeout": base["timeout"] if extras.timeout is None else parse_duration(extras.timeout),
        "grace": base["grace"] if extras.grace is None else parse_duration(extras.grace),
        "light": base["light"] if extras.light is None else extras.light,
        "replicas": extras.replicas or base["replicas"],
        "topology": extras.topology or base["topology"],
    }


def _environment(scope: Scope, node: Node, fields: dict[str, Any]) -> dict[str, str]:
    """Variables that Cube Studio sets, the global environment, the kind's own and the node's, later ones first."""
    own = {name: str(scope.fill(node, f"env.{name}", text)) for name, text in node.atelier.env.items()}
    for name in sorted(set(own) | set(fields["secrets"])):
        if not ENV_NAME.fullmatch(name):
            scope.problem(node, f"env.{name}", f"{name!r} is not an environment variable.", "Use letters and digits.")
    kind: dict[str, str] = fields["env"]
    return _cube_studio(scope.context, node, fields) | scope.environment | kind | own


def _cube_studio(context: RunContext, node: Node, fields: dict[str, Any]) -> dict[str, str]:
    """The `KFJ_*` variables that Cube Studio gives its tasks."""
    resources: Resources = fields["resources"]
    return {
        "KFJ_PIPELINE_ID": context.pipeline_id,
        "KFJ_PIPELINE_NAME": context.pipeline_name,
        "KFJ_RUN_ID": context.run_id,
        "KFJ_CREATOR": context.creator,
        "KFJ_RUNNER": context.runner,
        "KFJ_NAMESPACE": context.namespace,
        "KFJ_ENVIRONMENT": context.cluster_name,
        "KFJ_TASK_ID": node.id,
        "KFJ_TASK_NAME": fields["name"],
        "KFJ_TASK_IMAGES": fields["image"],
        "KFJ_TASK_NODE_SELECTOR": "",
        "KFJ_TASK_VOLUME_MOUNT": "",
        "KFJ_TASK_RESOURCE_CPU": f"{resources.cpu:g}",
        "KFJ_TASK_RESOURCE_MEMORY": f"{resources.memory / 1024**3:g}G",
        "KFJ_TASK_RESOURCE_GPU": str(resources.accelerators),
        "KFJ_TASK_PROJECT_NAME": context.project,
        "USERNAME": context.runner,
    }
