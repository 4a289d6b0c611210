"""Configuration files of the rig's processes, written anew at each start."""

from __future__ import annotations

import json

from .pki import kubeconfig_path
from .settings import (
    BIN,
    BRIDGE,
    CNI_NETWORK,
    CONF,
    CONTAINERD_SOCKET,
    FIRST_POD_IP,
    HOME,
    NODE,
    NODE_IP,
    PAUSE_IMAGE,
    PKI,
    POD_NET,
    REGISTRY,
    REGISTRY_PORT,
    RUN,
)

RESOLV_CONF = CONF / "resolv.conf"


def write_configs() -> None:
    """All of them; none holds anything that must outlive a restart."""
    (CONF / "cni").mkdir(parents=True, exist_ok=True)
    (CONF / "cni" / "10-rig.conflist").write_text(json.dumps(_cni()))
    (CONF / "containerd.toml").write_text(_containerd())
    hosts = CONF / "registries" / REGISTRY.replace(":", "_") / "hosts.toml"
    for folder in (hosts.parent, hosts.parent.parent / REGISTRY):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "hosts.toml").write_text(_plain_http_mirror())
    (CONF / "registry.yml").write_text(_registry())
    (CONF / "kubelet.json").write_text(json.dumps(_kubelet(), indent=1))
    RESOLV_CONF.write_text("")  # pods resolve cluster names only
    (CONF / "proxy.json").write_text(json.dumps(_proxy(), indent=1))
    (CONF / "Corefile").write_text(_corefile())


def _cni() -> dict:
    ranges = [[{"subnet": POD_NET, "rangeStart": FIRST_POD_IP, "gateway": NODE_IP}]]
    addresses = {
        "type": "host-local",
        "ranges": ranges,
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(HOME / "cni-state"),
    }
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": False,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": addresses,
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": CNI_NETWORK, "plugins": [bridge, ports]}


def _containerd() -> str:
    # A sandbox may lack the capability to lower an OOM score; without the two lines on it every pod
    # fails in runc. Layers are in the registry already: keeping them packed as well doubles the disk.
    return f"""version = 2
root = "{HOME}/containerd"
state = "{RUN}/containerd"
oom_score = 0
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    discard_unpacked_layers = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{CONF}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{CONF}/registries"
"""


def _plain_http_mirror() -> str:
    address = f"http://127.0.0.1:{REGISTRY_PORT}"
    return f'server = "{address}"\n[host."{address}"]\n  capabilities = ["pull", "resolve"]\n'


def _registry() -> str:
    return f"""version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {HOME}/registry}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{REGISTRY_PORT}"}}
"""


def _kubelet() -> dict:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(PKI / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "address": NODE_IP,
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "clusterDNS": [NODE_IP],
        "clusterDomain": "cluster.local",
        "resolvConf": str(RESOLV_CONF),
        # Percentages would throw images away on a well-filled disk; only absolute limits count here.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "200Mi", "nodefs.available": "1Gi", "imagefs.available": "1Gi"},
        "maxPods": 200,
        "serializeImagePulls": False,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
        "syncFrequency": "10s",
        "nodeStatusUpdateFrequency": "5s",
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
        "podLogsDir": str(HOME / "pod-logs"),
    }


def _proxy() -> dict:
    # Zero means "leave the machine's conntrack settings alone", which a sandbox may not let us write.
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": str(kubeconfig_path("proxy"))},
        "clusterCIDR": POD_NET,
        "hostnameOverride": NODE,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "iptables": {"minSyncPeriod": "0s"},
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def _corefile() -> str:
    return f""".:53 {{
  bind {NODE_IP}
  errors
  kubernetes cluster.local in-addr.arpa {{
    kubeconfig {kubeconfig_path("dns")}
    pods insecure
    ttl 1
  }}
  cache 1
}}
"""


def program(name: str) -> str:
    """The path of a compiled program, as a word of a command line."""
    return str(BIN / name)
