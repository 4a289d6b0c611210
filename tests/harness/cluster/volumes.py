"""Dynamic volumes: a folder per claim, handed out as a `local` volume.

Kubernetes' own host-path provisioner makes folders that only root can write and ignores `fsGroup`. A
local volume honours it, like the disks of real clusters. Class `standard` gives ReadWriteOnce, class
`shared` also ReadWriteMany (open to every uid, like a common NFS export).
"""

from __future__ import annotations

import shutil
from pathlib import Path

from .api import Api, Refused
from .settings import NODE, PROVISIONER, VOLUMES

BY = "pv.kubernetes.io/provisioned-by"
CLASSES = {"standard": {"ReadWriteOnce", "ReadWriteOncePod"}}
CLASSES["shared"] = CLASSES["standard"] | {"ReadWriteMany", "ReadOnlyMany"}
MODES = {"standard": 0o755, "shared": 0o777}


def storage_classes() -> list[dict]:
    """The two classes; `standard` is the default one."""
    return [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": name,
                "annotations": {"storageclass.kubernetes.io/is-default-class": str(name == "standard").lower()},
            },
            "provisioner": PROVISIONER,
        }
        for name in CLASSES
    ]


def reconcile(api: Api, claims: list[dict], volumes: list[dict]) -> None:
    """Make what pending claims lack, remove what released volumes left."""
    known = {volume["metadata"]["name"] for volume in volumes}
    for claim in claims:
        name = f"pvc-{claim['metadata']['uid']}"
        if claim["status"].get("phase") == "Pending" and name not in known and _ours(claim):
            _folder(claim, name)
            api.create("/api/v1/persistentvolumes", volume_for(claim, name))
    for volume in volumes:
        mine = volume["metadata"].get("annotations", {}).get(BY) == PROVISIONER
        delete = volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
        if mine and delete and volume["status"].get("phase") in ("Released", "Failed"):
            _remove(api, volume)


def _ours(claim: dict) -> bool:
    spec = claim["spec"]
    allowed = CLASSES.get(spec.get("storageClassName", ""), set())
    return not spec.get("volumeName") and set(spec.get("accessModes", [])) <= allowed and bool(allowed)


def _folder(claim: dict, name: str) -> None:
    folder = VOLUMES / name
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(MODES[claim["spec"]["storageClassName"]])


def volume_for(claim: dict, name: str) -> dict:
    """The volume of a claim, bound to it from the start."""
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]}
    owner = {key: claim["metadata"][key] for key in ("namespace", "name", "uid")}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "accessModes": claim["spec"]["accessModes"],
            "storageClassName": claim["spec"]["storageClassName"],
            "persistentVolumeReclaimPolicy": "Delete",
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **owner},
            "local": {"path": str(VOLUMES / name)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }


def _remove(api: Api, volume: dict) -> None:
    folder = Path(volume["spec"]["local"]["path"])
    if folder.parent == VOLUMES:
        shutil.rmtree(folder, ignore_errors=True)
    try:
        api.delete(f"/api/v1/persistentvolumes/{volume['metadata']['name']}")
    except Refused as refused:
        print(f"volume {volume['metadata']['name']} stays: {refused}", flush=True)
