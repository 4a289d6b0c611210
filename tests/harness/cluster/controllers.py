"""The rig's own controllers in one process: network policies and dynamic volumes."""

from __future__ import annotations

import threading
import traceback

from . import policy, volumes
from .api import Api, Cache
from .settings import NODE

CORE = "/api/v1"


def main() -> None:
    """Watch; on each change, and every ten seconds in any case, make the world as it should be."""
    api, changed = Api(), threading.Event()
    on_node = {"fieldSelector": f"spec.nodeName={NODE}"}
    pods = Cache(api, f"{CORE}/pods", changed, **on_node)
    namespaces = Cache(api, f"{CORE}/namespaces", changed)
    policies = Cache(api, "/apis/networking.k8s.io/v1/networkpolicies", changed)
    claims = Cache(api, f"{CORE}/persistentvolumeclaims", changed)
    persistent = Cache(api, f"{CORE}/persistentvolumes", changed)
    caches = (pods, namespaces, policies, claims, persistent)
    for cache in caches:
        cache.start()
    for cache in caches:
        cache.listed.wait()
    enforcer = policy.Enforcer()
    while True:
        changed.wait(10)
        changed.clear()
        try:
            enforcer.apply(policy.State(pods.objects(), namespaces.objects(), policies.objects()))
            volumes.reconcile(api, claims.objects(), persistent.objects())
        except Exception:  # a controller goes on: the next change or tick tries again
            traceback.print_exc()
            threading.Event().wait(1)
            changed.set()


if __name__ == "__main__":
    main()
