"""Enforces NetworkPolicy objects: each isolated pod gets an iptables chain on the bridge.

Rules sit in FORWARD (pod to pod; Services are translated before it) and, for egress, in INPUT (pod to
host). Traffic from the host to a pod passes neither: it is never blocked. The cluster's DNS runs on
the host and always answers. A change is in force a moment after the API has it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from ipaddress import IPv4Network, ip_network

from .settings import BRIDGE, NODE_IP
from .shell import run, succeeds

PREFIX = "AT-POD-"
TOPS = {"Egress": "AT-EGRESS", "Ingress": "AT-INGRESS"}
ADDRESS_FLAG = {"Egress": ("-s", "-d"), "Ingress": ("-d", "-s")}  # of the pod itself, of its peer
HOOKS = (("FORWARD", "-i", TOPS["Egress"]), ("INPUT", "-i", TOPS["Egress"]), ("FORWARD", "-o", TOPS["Ingress"]))


@dataclass
class State:
    """What policies are about, as the API has it."""

    pods: list[dict] = field(default_factory=list)
    namespaces: list[dict] = field(default_factory=list)
    policies: list[dict] = field(default_factory=list)

    def pods_of(self, peer: dict, home: str) -> list[dict]:
        """The pods that a peer with selectors means; without a namespace selector those of `home`."""
        if "namespaceSelector" in peer:
            chosen = {
                space["metadata"]["name"]
                for space in self.namespaces
                if selects(peer["namespaceSelector"], space["metadata"].get("labels", {}))
            }
        else:
            chosen = {home}
        wanted = peer.get("podSelector", {})
        return [
            pod
            for pod in self.pods
            if pod["metadata"]["namespace"] in chosen and selects(wanted, pod["metadata"].get("labels", {}))
        ]


def selects(selector: dict, labels: dict[str, str]) -> bool:
    """A label selector, as the API defines it."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for term in selector.get("matchExpressions") or []:
        key, values = term["key"], term.get("values") or []
        holds = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }
        if not holds[term["operator"]]:
            return False
    return True


def address(pod: dict) -> str | None:
    """Where policies reach it: not for pods on the host's network, nor for those that ended."""
    if pod["spec"].get("hostNetwork") or pod["status"].get("phase") in ("Succeeded", "Failed"):
        return None
    return pod["status"].get("podIP")


def rules(state: State) -> dict[str, list[str]]:
    """Chain name → its rules. Pure, so that it can be read and tested without a kernel."""
    chains: dict[str, list[str]] = {}
    for direction, top in TOPS.items():
        chains[top] = ["-m conntrack --ctstate ESTABLISHED,RELATED -j RETURN"]
        if direction == "Egress":
            chains[top] += [f"-d {NODE_IP} -p {protocol} --dport 53 -j RETURN" for protocol in ("udp", "tcp")]
        for pod in state.pods:
            policies = [policy for policy in state.policies if _applies(policy, pod, direction)]
            if not policies or not (ip := address(pod)):
                continue
            name = PREFIX + hashlib.sha256(f"{direction}{ip}".encode()).hexdigest()[:12]
            allowed = [line for policy in policies for line in _allowed(policy, pod, direction, state)]
            chains[name] = [*dict.fromkeys(allowed), "-j DROP"]
            chains[top].append(f"{ADDRESS_FLAG[direction][0]} {ip}/32 -j {name}")
    return chains


def _applies(policy: dict, pod: dict, direction: str) -> bool:
    spec = policy["spec"]
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if "egress" in spec else [])]
    return (
        direction in types
        and policy["metadata"]["namespace"] == pod["metadata"]["namespace"]
        and selects(spec.get("podSelector") or {}, pod["metadata"].get("labels", {}))
    )


def _allowed(policy: dict, pod: dict, direction: str, state: State) -> list[str]:
    """One line per peer and port that the policy lets through."""
    flag = ADDRESS_FLAG[direction][1]
    lines = []
    for rule in policy["spec"].get(direction.lower()) or []:
        peers = rule.get("from" if direction == "Ingress" else "to")
        for network, peer_pod in _peers(peers, policy["metadata"]["namespace"], state):
            named_on = pod if direction == "Ingress" else peer_pod
            lines += [f"{flag} {network}{port} -j RETURN" for port in _ports(rule.get("ports"), named_on)]
    return lines


def _peers(peers: list[dict] | None, home: str, state: State) -> list[tuple[str, dict | None]]:
    if not peers:
        return [("0.0.0.0/0", None)]
    found: list[tuple[str, dict | None]] = []
    for peer in peers:
        if block := peer.get("ipBlock"):
            found += [(str(part), None) for part in _without(block["cidr"], block.get("except") or [])]
        else:
            found += [(f"{ip}/32", pod) for pod in state.pods_of(peer, home) if (ip := address(pod))]
    return found


def _without(cidr: str, exceptions: list[str]) -> list[IPv4Network]:
    """The range minus its exceptions, as plain ranges (IPv4; there is no other address here)."""
    if ":" in cidr:
        return []
    parts = [ip_network(cidr, strict=False)]
    for hole in (ip_network(text, strict=False) for text in exceptions):
        parts = [
            piece
            for part in parts
            for piece in (part.address_exclude(hole) if hole.subnet_of(part) else [part])
            if not piece.subnet_of(hole)
        ]
    return parts


def _ports(ports: list[dict] | None, pod: dict | None) -> list[str]:
    """The port part of a rule line; several when the policy names several."""
    if not ports:
        return [""]
    lines = []
    for port in ports:
        protocol, number = port.get("protocol", "TCP"), port.get("port")
        if isinstance(number, str):
            number = _named_port(pod, number, protocol)
            if number is None:
                continue
        span = "" if number is None else f" --dport {number}:{port.get('endPort', number)}"
        lines.append(f" -p {protocol.lower()}{span}")
    return lines


def _named_port(pod: dict | None, name: str, protocol: str) -> int | None:
    for container in pod["spec"]["containers"] if pod else []:
        for port in container.get("ports") or []:
            if port.get("name") == name and port.get("protocol", "TCP") == protocol:
                return port["containerPort"]
    return None


class Enforcer:
    """Puts the chains into the kernel, all in one step, and only when they changed."""

    def __init__(self) -> None:
        self._current: dict[str, list[str]] | None = None

    def apply(self, state: State) -> None:
        chains = rules(state)
        if chains == self._current:
            return
        stale = [name for name in existing_chains() if name.startswith(PREFIX) and name not in chains]
        lines = ["*filter", *(f":{name} - [0:0]" for name in [*chains, *stale])]
        lines += [f"-A {name} {rule}" for name, content in chains.items() for rule in content]
        lines += [*(f"-X {name}" for name in stale), "COMMIT", ""]
        run("iptables-restore", "-w", "--noflush", input="\n".join(lines))
        for hook, side, chain in HOOKS:
            if not succeeds("iptables", "-w", "-C", hook, side, BRIDGE, "-j", chain):
                run("iptables", "-w", "-I", hook, side, BRIDGE, "-j", chain)
        self._current = chains


def existing_chains() -> list[str]:
    saved = run("iptables-save", "-t", "filter").stdout
    return [
        line[1:].split()[0]
        for line in saved.splitlines()
        if line.startswith((":AT-EGRESS", ":AT-INGRESS", f":{PREFIX}"))
    ]


def remove_all() -> None:
    """Leave no rule behind."""
    for hook, side, chain in HOOKS:
        succeeds("iptables", "-w", "-D", hook, side, BRIDGE, "-j", chain)
    names = existing_chains()
    if names:
        lines = ["*filter", *(f":{name} - [0:0]" for name in names), *(f"-X {name}" for name in names), "COMMIT", ""]
        run("iptables-restore", "-w", "--noflush", input="\n".join(lines))
