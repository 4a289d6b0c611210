"""What `atelier doctor` looks at on a cluster, up to a pod that proves the way back to this machine."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from urllib3.exceptions import HTTPError

from atelier_cli.platform.layout import Settings
from atelier_cli.platform.processes import advertised
from atelier_cli.platform.results import Check, bad, good, skipped

OLDEST = (1, 29)  # native sidecars are on from here
NEEDED = (
    ("", "pods", "create"), ("", "pods", "watch"), ("", "pods/log", "get"), ("", "secrets", "create"),
    ("", "services", "create"), ("", "configmaps", "create"), ("batch", "jobs", "create"),
    ("apps", "deployments", "create"), ("", "namespaces", "create"), ("", "namespaces", "get"),
    ("", "resourcequotas", "create"), ("networking.k8s.io", "networkpolicies", "create"),
)  # fmt: skip
OPERATORS = {
    "jobset.x-k8s.io": "JobSet", "trainer.kubeflow.org": "Kubeflow Trainer", "kubeflow.org": "Kubeflow jobs",
    "ray.io": "KubeRay", "sparkoperator.k8s.io": "Spark operator", "kueue.x-k8s.io": "Kueue",
    "batch.volcano.sh": "Volcano", "serving.kserve.io": "KServe",
}  # fmt: skip
_POD_SECONDS = 90
_PUBLIC, _OURS = "busybox:1.36", "atelier/python:1"
# Images differ in what they have and in what of it works. `sleep`: a server may drop who has nothing more to say.
_ASK = """
url=$1 host=$2 port=$3 path=$4
said=$(wget -q -T 10 -O - "$url" 2>&1) && exit 0
case $url in http:*)
  ask() { printf 'GET %s HTTP/1.0\\r\\nHost: %s\\r\\n\\r\\n' "$path" "$host"; sleep 3; }
  answer=$(ask | nc -w 10 "$host" "$port" 2>&1)
  case $answer in HTTP/1.?" 200 "*) exit 0 ;; esac
  said="$said $answer"
esac
answer=$(python3 -c 'import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=10)' "$url" 2>&1) && exit 0
echo "$said $answer" | tail -n 3
exit 1
"""


@dataclass(frozen=True)
class PodProbe:
    """How a pod tries the way from the cluster to here."""

    image: str | None
    namespace: str

    def image_of(self, settings: Settings) -> str:
        """The one that was named, else one of ours where the cluster has a registry for them."""
        ours = f"{settings.registry.rstrip('/')}/{_OURS}" if settings.registry else _PUBLIC
        return self.image or ours


def cluster_checks(settings: Settings, pod: PodProbe | None) -> Iterator[Check]:
    """Version, permissions and operators of the configured cluster; with `pod` the way back."""
    if not settings.kubeconfig:
        yield skipped("cluster", "none configured; add one with `atelier up --kubeconfig FILE`")
        return
    try:
        api = _connect(settings.kubeconfig)
        yield from _look(api, settings, pod)
    except (ConfigException, OSError) as error:
        yield bad("cluster", f"{settings.kubeconfig} cannot be used: {error}", "Try it with `kubectl --kubeconfig`.")
    except (HTTPError, ApiException) as error:
        why = getattr(error, "reason", None) or error
        yield bad("cluster", f"does not answer: {why}", f"kubectl --kubeconfig {settings.kubeconfig} get nodes")


def _connect(kubeconfig: str) -> Any:
    try:
        return config.new_client_from_config(kubeconfig)
    except (OSError, ConfigException):
        raise
    except Exception as error:  # whatever the client meets in a file that is no configuration
        raise ConfigException(str(error).partition("\n")[0]) from error


def _look(api: Any, settings: Settings, pod: PodProbe | None) -> Iterator[Check]:
    version = client.VersionApi(api).get_code(_request_timeout=10)
    number = (int(version.major), int(version.minor.rstrip("+")))
    if number < OLDEST:
        yield bad("cluster", f"Kubernetes {version.git_version} is too old.", f"Atelier needs {OLDEST[0]}.{OLDEST[1]}.")
    else:
        yield good("cluster", f"Kubernetes {version.git_version}")
    yield _permissions(api)
    yield _operators(api)
    if pod is not None:
        yield _way_back(api, settings, pod)


def _permissions(api: Any) -> Check:
    reviews = client.AuthorizationV1Api(api)
    missing = []
    for group, kind, verb in NEEDED:
        resource, _, sub = kind.partition("/")
        attributes = client.V1ResourceAttributes(group=group, resource=resource, subresource=sub or None, verb=verb)
        spec = client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes)
        review = client.V1SelfSubjectAccessReview(spec=spec)
        answer: Any = reviews.create_self_subject_access_review(review, _request_timeout=10)
        if not answer.status.allowed:
            missing.append(f"{verb} {kind}")
    if missing:
        return bad("permissions", f"not allowed: {', '.join(missing)}", "Ask the cluster's administrator for them.")
    return good("permissions", "all that is needed, in every namespace")


def _operators(api: Any) -> Check:
    groups = {group.name for group in client.ApisApi(api).get_api_versions(_request_timeout=10).groups}
    there = [name for group, name in OPERATORS.items() if group in groups]
    missing = [name for group, name in OPERATORS.items() if group not in groups]
    # None is required: jobs of several replicas run on indexed Jobs where no operator serves them.
    return good("operators", f"{', '.join(there) or 'none'}; not there: {', '.join(missing) or 'none'} (not required)")


def _way_back(api: Any, settings: Settings, probe: PodProbe) -> Check:
    """Start a pod that asks the control plane for its health; removed whatever happens."""
    url = f"{advertised(settings)}/health"
    name = f"atelier-doctor-{uuid.uuid4().hex[:8]}"
    core: Any = client.CoreV1Api(api)
    core.create_namespaced_pod(probe.namespace, _pod(name, probe.image_of(settings), url), _request_timeout=10)
    try:
        return _verdict(core, probe, name, url)
    finally:
        core.delete_namespaced_pod(name, probe.namespace, grace_period_seconds=0, _request_timeout=10)


def _pod(name: str, image: str, url: str) -> dict[str, Any]:
    where = urlsplit(url)
    port = where.port or (443 if where.scheme == "https" else 80)
    container = {
        "name": "probe",
        "image": image,
        "command": ["sh", "-c", _ASK, "ask", url, where.hostname or "", str(port), where.path],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    # The pod goes even if we cannot remove it.
    spec = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": _POD_SECONDS,
        "automountServiceAccountToken": False,
        "containers": [container],
    }
    labels = {"app.kubernetes.io/managed-by": "atelier", "app.kubernetes.io/component": "doctor"}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec}


def _verdict(core: Any, probe: PodProbe, name: str, url: str) -> Check:
    end = time.monotonic() + _POD_SECONDS
    why = "was never scheduled"
    while time.monotonic() < end:
        status = core.read_namespaced_pod(name, probe.namespace, _request_timeout=10).status
        if status.phase == "Succeeded":
            return good("way back", f"a pod reached {url}")
        if status.phase == "Failed":
            said = core.read_namespaced_pod_log(name, probe.namespace, _request_timeout=10).strip()
            hint = "Give --bind an address of this machine that pods can reach, and --advertise-url its URL."
            return bad("way back", f"a pod could not reach {url}: {said}", hint)
        why = _waiting_for(status) or why
        time.sleep(0.5)
    return bad("way back", f"the pod {why} within {_POD_SECONDS} s", "Choose another --image or --namespace.")


def _waiting_for(status: Any) -> str:
    for container in status.container_statuses or []:
        if container.state and container.state.waiting:
            return f"waits: {container.state.waiting.reason}"
    return ""
