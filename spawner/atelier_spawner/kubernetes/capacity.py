"""Quantities: what nodes have, what pods ask for, what a quota still allows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from atelier_core.errors import QuotaExceeded

Manifest = dict[str, Any]
_QUANTITY = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E)?")
_DECIMAL = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_BINARY = {unit: 1024.0**power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)}
_PLAIN = frozenset({"cpu", "memory"})


def quantity(text: str) -> float:
    """A Kubernetes quantity as a number: `100m` is 0.1, `1Gi` is 1073741824."""
    match = _QUANTITY.fullmatch(str(text))
    if not match:
        raise ValueError(f"{text!r} is not a quantity")
    return float(match[1]) * {**_DECIMAL, **_BINARY}[match[2] or ""]


def demand(pod_spec: Manifest, of: str = "requests") -> Counter[str]:
    """What the scheduler and quotas count for a pod: containers and sidecars together, or the largest init step."""
    running: Counter[str] = Counter()
    peak: Counter[str] = Counter()
    for container in pod_spec.get("initContainers") or []:
        wanted = _wanted(container, of)
        if container.get("restartPolicy") == "Always":
            running.update(wanted)
            wanted = Counter()
        for name, amount in (running + wanted).items():
            peak[name] = max(peak[name], amount)
    for container in pod_spec.get("containers") or []:
        running.update(_wanted(container, of))
    for name, amount in running.items():
        peak[name] = max(peak[name], amount)
    return peak


def free(nodes: Iterable[Manifest], pods: Iterable[Manifest]) -> dict[str, dict[str, float]]:
    """What healthy, schedulable nodes have, and what the pods on them leave."""
    usable = {
        node["metadata"]["name"]: node for node in nodes if is_ready(node) and not node["spec"].get("unschedulable")
    }
    total: Counter[str] = Counter()
    for node in usable.values():
        allocatable = node["status"].get("allocatable") or {}
        total.update({name: quantity(amount) for name, amount in allocatable.items() if _counts(name)})
    used: Counter[str] = Counter()
    for pod in pods:
        ended = pod["status"].get("phase") in ("Succeeded", "Failed")
        if pod["spec"].get("nodeName") in usable and not ended:
            used.update(demand(pod["spec"]))
    return {name: {"total": amount, "free": max(0.0, amount - used[name])} for name, amount in total.items()}


def is_ready(node: Manifest) -> bool:
    """Whether the node answers and takes pods."""
    conditions = node["status"].get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def check_quota(quotas: Iterable[Manifest], pod_spec: Manifest, count: int) -> None:
    """`QuotaExceeded` unless all `count` pods fit: a workload must not start in part."""
    needs: Counter[str] = Counter({"pods": count, "count/pods": count})
    for kind, prefixes in (("requests", ("requests.", "")), ("limits", ("limits.",))):
        for name, amount in demand(pod_spec, kind).items():
            needs.update({f"{prefix}{name}": amount * count for prefix in prefixes})
    for quota in quotas:
        hard, used = quota.get("spec", {}).get("hard") or {}, quota.get("status", {}).get("used") or {}
        for name in hard.keys() & needs.keys():
            left = quantity(hard[name]) - quantity(used.get(name, "0"))
            if needs[name] > left:
                who = f"Its {count} replicas need" if count > 1 else "It needs"
                raise QuotaExceeded(
                    f"{who} {needs[name]:g} {name}; the project's quota has {max(left, 0):g} left.",
                    hint="Wait until other work of the project ends, ask for less, or for a larger quota.",
                )


def _wanted(container: Manifest, of: str) -> Counter[str]:
    resources = (container.get("resources") or {}).get(of) or {}
    return Counter({name: quantity(amount) for name, amount in resources.items()})


def _counts(name: str) -> bool:
    return name in _PLAIN or ("/" in name and not name.startswith("attachable-volumes"))
