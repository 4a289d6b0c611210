"""The node's network: one bridge that carries the pods and the node's address."""

from __future__ import annotations

import json
from pathlib import Path

from .settings import BIN, BRIDGE, CNI_NETWORK, NODE_IP, SERVICE_NET
from .shell import run, succeeds

CNI_RESULTS = Path("/var/lib/cni/results")
BRIDGE_MAC = "02:0a:4d:00:00:01"
PORT, PORT_PEER = f"{BRIDGE}-p", f"{BRIDGE}-q"


def make_network() -> None:
    """Some kernels have no dummy device: one idle veth port keeps the bridge's carrier up instead.

    The Service range is routed to the bridge, so that a packet without a rule never leaves by the
    machine's real interface; netfilter sees bridged packets of this bridge alone.
    """
    if not succeeds("ip", "link", "show", BRIDGE):
        # A bridge without an address of its own takes the lowest of its ports': it would change with every pod that
        # comes or goes, and other pods would send into the void until they ask again.
        run("ip", "link", "add", BRIDGE, "address", BRIDGE_MAC, "type", "bridge")
        run("ip", "link", "add", PORT, "type", "veth", "peer", "name", PORT_PEER)
        run("ip", "link", "set", PORT, "master", BRIDGE)
        run("ip", "addr", "add", f"{NODE_IP}/16", "dev", BRIDGE)
        run("ip", "link", "set", PORT_PEER, "arp", "off")  # else it answers for the node's address too
        for link in (BRIDGE, PORT, PORT_PEER):
            run("ip", "link", "set", link, "up")
    run("ip", "route", "replace", SERVICE_NET, "dev", BRIDGE)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    Path(f"/sys/class/net/{BRIDGE}/bridge/nf_call_iptables").write_text("1")
    for direction in ("-i", "-o"):  # some machines drop what they would forward
        rule = ("FORWARD", direction, BRIDGE, "-j", "ACCEPT")
        if not succeeds("iptables", "-w", "-C", *rule):
            run("iptables", "-w", "-A", *rule)


def remove_network() -> None:
    """Take away every link, namespace and rule that the rig made."""
    _remove_pod_namespaces()
    for link in (BRIDGE, PORT):
        succeeds("ip", "link", "del", link)
    for direction in ("-i", "-o"):
        succeeds("iptables", "-w", "-D", "FORWARD", direction, BRIDGE, "-j", "ACCEPT")
    if (BIN / "kube-proxy").exists():
        succeeds(BIN / "kube-proxy", "--cleanup", timeout=30)
    for hook in ("INPUT", "OUTPUT"):  # the kubelet's, which no program of its own takes away
        succeeds("iptables", "-w", "-D", hook, "-j", "KUBE-FIREWALL")
    for action in ("-F", "-X"):
        succeeds("iptables", "-w", action, "KUBE-FIREWALL")


def _remove_pod_namespaces() -> None:
    """Pods' network namespaces outlive containerd; its CNI cache still knows which are ours."""
    for record in CNI_RESULTS.glob(f"{CNI_NETWORK}-*"):
        try:
            interfaces = json.loads(record.read_text())["result"].get("interfaces", [])
        except (OSError, ValueError, KeyError):
            interfaces = []
        for sandbox in {interface.get("sandbox") for interface in interfaces} - {None, ""}:
            succeeds("umount", "-l", sandbox)
            Path(sandbox).unlink(missing_ok=True)
        container = record.name.removeprefix(f"{CNI_NETWORK}-").rpartition("-")[0]
        for known in CNI_RESULTS.glob(f"*-{container}-*"):
            known.unlink(missing_ok=True)
