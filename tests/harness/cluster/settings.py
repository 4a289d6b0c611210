"""Where the rig keeps its state, and the addresses it uses."""

from __future__ import annotations

import os
from pathlib import Path

HOME = Path(os.environ.get("ATELIER_CLUSTER_HOME") or Path.home() / ".cache" / "atelier" / "cluster").absolute()
BIN = HOME / "bin"
CONF = HOME / "conf"
IMAGES = HOME / "images"
LOGS = HOME / "logs"
MODULES = HOME / "modules"
PKI = HOME / "pki"
RUN = HOME / "run"
UNPACKED = HOME / "debian"  # Debian packages that are unpacked here, not installed
VOLUMES = HOME / "volumes"

KUBECONFIG = PKI / "admin.kubeconfig"
REPOSITORY = Path(__file__).resolve().parents[3]

NODE = "rig"
BRIDGE = "atelier0"
NODE_IP = "10.77.0.1"
POD_NET = "10.77.0.0/16"
FIRST_POD_IP = "10.77.1.1"
SERVICE_NET = "10.78.0.0/16"
API_SERVICE_IP = "10.78.0.1"
API_PORT = 6443
ETCD = ("127.0.0.1", 2379)
REGISTRY_PORT = 5000
REGISTRY = f"localhost:{REGISTRY_PORT}"  # how a pod's image reference names it
CNI_NETWORK = "atelier-rig"
CONTAINERD_SOCKET = RUN / "containerd.sock"
PAUSE_IMAGE = "localhost/pause:1"
PROVISIONER = "atelier.test/folders"


class CannotRun(Exception):
    """This machine cannot run the rig, or a part of it did not start; the text is one line for a person."""
