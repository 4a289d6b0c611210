"""A workload's objects: its Secrets, its Service, and the Pod, Jobs or Deployments that run it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

from atelier_core.workload import Role, Topology, WorkloadSpec
from atelier_spawner.kubernetes.labels import ROLE, WORKLOAD, namespace_of, object_name, role_object
from atelier_spawner.kubernetes.pods import ROOT, Build, Manifest, pod_template, ports_of
from atelier_spawner.shim import gang, shim_document, shim_spec

RENDEZVOUS_PORT = 29500


def secrets(build: Build) -> list[Manifest]:
    """One per role: what the shim is told. Only the shim's own containers mount it."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": _metadata(build, role_object(build.spec, role), role),
            "immutable": True,
            "data": {"shim.json": base64.b64encode(json.dumps(orders(build, role)).encode()).decode()},
        }
        for role in build.spec.roles
    ]


def services(build: Build) -> list[Manifest]:
    """A headless one by which the replicas of a gang find each other, or the address of a service workload."""
    spec = build.spec
    name = object_name(spec.id)
    base = {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(build, name)}
    if is_gang(spec):
        chosen = {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": {WORKLOAD: spec.id}}
        return [{**base, "spec": chosen}]
    if spec.kind == "service":
        return [
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": _metadata(build, role_object(spec, role), role),
                "spec": {
                    "type": "ClusterIP",
                    "selector": {WORKLOAD: spec.id, ROLE: role.name},
                    "ports": [
                        {"name": port.name, "port": port.port, "targetPort": port.port, "protocol": "TCP"}
                        for port in ports_of(role)
                    ],
                },
            }
            for role in spec.roles
            if role.ports
        ]
    return []


def runners(build: Build) -> list[Manifest]:
    """What makes the pods: the bare Pod itself, one indexed Job per role of a gang, or one Deployment per role."""
    spec = build.spec
    if spec.kind == "service":
        return [_deployment(build, role) for role in spec.roles]
    if is_gang(spec):
        return [_job(build, role) for role in spec.roles]
    return [_pod(build, spec.roles[0])]


def is_gang(spec: WorkloadSpec) -> bool:
    """Whether several replicas start together."""
    return spec.kind == "job" and (spec.topology is Topology.GANG or spec.replicas > 1)


def orders(build: Build, role: Role) -> dict[str, Any]:
    """The content of `shim.json` for the pods of `role`; a pod of a gang fills in its completion index."""
    spec = build.spec
    ports = {f"ATELIER_PORT_{port.name.upper().replace('-', '_')}": str(port.port) for port in ports_of(role)}
    engine: dict[str, Any] = {"root": ROOT, "env": ports, "claim": "http" if spec.kind == "job" else "none"}
    engine["log_limit"] = build.options.log_limit
    if is_gang(spec):
        first = role_object(spec, spec.roles[0])
        engine["gang"] = gang(spec, role, f"{first}-0.{object_name(spec.id)}", RENDEZVOUS_PORT)
    made = shim_spec(spec, role, None if is_gang(spec) else 0, **engine)
    return shim_document(replace(made, uid=None))  # the pod runs as that user from the start


def _metadata(build: Build, name: str, role: Role | None = None) -> Manifest:
    labels = {**build.labels, ROLE: role.name} if role else build.labels
    return {"name": name, "namespace": namespace_of(build.options, build.spec.project), "labels": labels}


def _pod(build: Build, role: Role) -> Manifest:
    template = pod_template(build, role, role_object(build.spec, role))
    metadata = {**_metadata(build, build.spec.id, role), "annotations": template["metadata"]["annotations"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def _job(build: Build, role: Role) -> Manifest:
    """All replicas or none: the first that fails ends the Job, and none is started again."""
    name = role_object(build.spec, role)
    template = pod_template(build, role, name)
    template["spec"]["subdomain"] = object_name(build.spec.id)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**_metadata(build, name, role), "annotations": template["metadata"]["annotations"]},
        "spec": {
            "completionMode": "Indexed",
            "completions": role.count,
            "parallelism": role.count,
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "template": template,
        },
    }


def _deployment(build: Build, role: Role) -> Manifest:
    name = role_object(build.spec, role)
    template = pod_template(build, role, name)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**_metadata(build, name, role), "annotations": template["metadata"]["annotations"]},
        "spec": {
            "replicas": role.count,
            "revisionHistoryLimit": 1,
            "progressDeadlineSeconds": 600,
            "selector": {"matchLabels": {WORKLOAD: build.spec.id, ROLE: role.name}},
            "template": template,
        },
    }
