"""What a cluster offers the back end and what is missing, each with the command that helps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from atelier_spawner.kubernetes.api import NAMESPACES, SECRETS, Api, ApiError
from atelier_spawner.kubernetes.labels import namespace_of
from atelier_spawner.kubernetes.options import KubernetesOptions

__all__ = ["SECRETS", "Right", "diagnose", "may"]

_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_OLDEST = (1, 29)  # native sidecars are on by default from here on


@dataclass(frozen=True)
class Right:
    """One thing that the back end does with the API."""

    verb: str
    group: str
    resource: str

    @property
    def plural(self) -> str:
        """The resource without its sub-resource."""
        return self.resource.partition("/")[0]


_WORKLOADS = (
    *(Right(verb, "", "pods") for verb in ("create", "delete", "get", "list", "watch")),
    Right("get", "", "pods/log"),
    Right("create", "", "pods/exec"),
    *(
        Right(verb, "", kind)
        for kind in ("secrets", "services")
        for verb in ("create", "delete", "deletecollection", "list")
    ),
    *(Right(verb, "batch", "jobs") for verb in ("create", "get", "list", "deletecollection")),
    *(Right(verb, "apps", "deployments") for verb in ("create", "get", "list", "deletecollection")),
    Right("deletecollection", "apps", "replicasets"),
    Right("list", "", "resourcequotas"),
    Right("get", "", "namespaces"),
)
_PROJECTS = (
    *(Right("patch", "", kind) for kind in ("namespaces", "serviceaccounts", "resourcequotas", "limitranges")),
    Right("patch", "networking.k8s.io", "networkpolicies"),
)
_NODES = (Right("list", "", "nodes"), Right("get", "", "nodes"))


async def may(api: Api, right: Right, namespace: str = "") -> bool:
    """Whether the API lets us do that (in all namespaces unless one is named)."""
    kind, _, sub = right.resource.partition("/")
    attributes = {
        "verb": right.verb,
        "group": right.group,
        "resource": kind,
        "subresource": sub,
        "namespace": namespace,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = await api.post(_REVIEW, review)
    return bool(answer["status"].get("allowed"))


async def diagnose(api: Api, options: KubernetesOptions, whole_cluster: bool) -> list[dict[str, Any]]:
    """A list of `{"name", "ok", "message", "fix"}`; never raises for what the cluster answers."""
    try:
        version = await api.get("/version")
        findings = [_version(version)]
        findings.append(_scope(whole_cluster, options))
        findings += await _rights(api, options, whole_cluster)
        findings += await _security(api, options)
    except ApiError as error:
        return [_finding("API server", False, error.message, "kubectl cluster-info")]
    return findings


def _version(answer: dict[str, Any]) -> dict[str, Any]:
    text = answer.get("gitVersion", "?")
    digits = [int("".join(filter(str.isdigit, answer.get(key, "0"))) or 0) for key in ("major", "minor")]
    good = tuple(digits) >= _OLDEST
    message = f"Kubernetes {text}" if good else f"Kubernetes {text} is older than 1.29 and has no native sidecars."
    return _finding("Version", good, message, "" if good else "Upgrade the cluster to 1.29 or newer.")


def _scope(whole_cluster: bool, options: KubernetesOptions) -> dict[str, Any]:
    if whole_cluster:
        return _finding("Watch", True, "One watch over all namespaces.", "")
    named = bool(options.projects)
    message = "One watch per namespace" + (f" ({len(options.projects)} named)." if named else "; no project is named.")
    return _finding(
        "Watch", named, message, "" if named else "Set the option `projects`, or grant list and watch on pods."
    )


async def _rights(api: Api, options: KubernetesOptions, whole_cluster: bool) -> list[dict[str, Any]]:
    everywhere = [""]
    named = everywhere if whole_cluster else [namespace_of(options, project) for project in options.projects]
    wanted = [("Workloads", _WORKLOADS, named or everywhere), ("Nodes", _NODES, everywhere)]
    if options.manage_namespaces:
        wanted.insert(1, ("Projects", _PROJECTS, everywhere))
    findings = []
    for name, rights, places in wanted:
        missing = [right for right in rights if not all([await may(api, right, place) for place in places])]
        message = "All rights are there." if not missing else "Missing: " + ", ".join(map(_words, missing)) + "."
        findings.append(_finding(name, not missing, message, "" if not missing else _grant(name, missing)))
    return findings


async def _security(api: Api, options: KubernetesOptions) -> list[dict[str, Any]]:
    """Namespaces of ours in which Pod Security is not enforced."""
    try:
        listing = await api.list(NAMESPACES.path())
    except ApiError as error:
        if error.status == 403:
            return []
        raise
    ours = [
        each["metadata"] for each in listing["items"] if each["metadata"]["name"].startswith(options.namespace_prefix)
    ]
    label = "pod-security.kubernetes.io/enforce"
    weak = [each["name"] for each in ours if (each.get("labels") or {}).get(label) != "restricted"]
    message = "Enforced in every project." if not weak else f"Not enforced in: {', '.join(weak)}."
    fix = "" if not weak else f"kubectl label --overwrite namespace {' '.join(weak)} {label}=restricted"
    return [_finding("Pod Security", not weak, message, fix)]


def _words(right: Right) -> str:
    return f"{right.verb} {right.resource}" + (f" ({right.group})" if right.group else "")


def _grant(name: str, missing: list[Right]) -> str:
    """A role with just what is missing, one rule per verb and group."""
    role = f"atelier-{name.lower()}"
    rules = sorted({(right.verb, f"{right.resource}{'.' + right.group if right.group else ''}") for right in missing})
    verbs = sorted({verb for verb, _ in rules})
    resources = ",".join(sorted({resource for _, resource in rules}))
    return (
        f"kubectl create clusterrole {role} --verb={','.join(verbs)} --resource={resources} && "
        f"kubectl create clusterrolebinding {role} --clusterrole={role} --user=<the back end's user>"
    )


def _finding(name: str, good: bool, message: str, fix: str) -> dict[str, Any]:
    return {"name": name, "ok": good, "message": message, "fix": fix}
