"""Network policies as rules: pure, so no cluster is needed."""

from __future__ import annotations

from tests.harness.cluster.policy import PREFIX, State, rules, selects


def pod(name: str, ip: str, namespace: str = "here", **labels: str) -> dict:
    ports = [{"name": "web", "containerPort": 8080}]
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": [{"name": "main", "ports": ports}]},
        "status": {"phase": "Running", "podIP": ip},
    }


def policy(**spec: object) -> dict:
    return {"metadata": {"name": "p", "namespace": "here"}, "spec": {"podSelector": {}, **spec}}


def only_chain(state: State) -> list[str]:
    chains = {name: lines for name, lines in rules(state).items() if name.startswith(PREFIX)}
    assert len(chains) == 1
    return next(iter(chains.values()))


def test_nothing_is_isolated_without_a_policy() -> None:
    assert set(rules(State([pod("a", "10.77.1.1")]))) == {"AT-EGRESS", "AT-INGRESS"}


def test_policy_of_another_namespace_says_nothing() -> None:
    state = State([pod("a", "10.77.1.1", "there")], policies=[policy()])
    assert not [name for name in rules(state) if name.startswith(PREFIX)]


def test_default_type_is_ingress_and_empty_means_deny() -> None:
    assert only_chain(State([pod("a", "10.77.1.1")], policies=[policy()])) == ["-j DROP"]


def test_named_port_is_looked_up_on_the_target() -> None:
    rule = {"ports": [{"port": "web"}, {"port": "absent"}]}
    lines = only_chain(State([pod("a", "10.77.1.1")], policies=[policy(ingress=[rule])]))
    assert lines == ["-s 0.0.0.0/0 -p tcp --dport 8080:8080 -j RETURN", "-j DROP"]


def test_address_block_leaves_its_exceptions_out() -> None:
    block = {"cidr": "10.0.0.0/30", "except": ["10.0.0.1/32"]}
    lines = only_chain(
        State([pod("a", "10.77.1.1")], policies=[policy(policyTypes=["Egress"], egress=[{"to": [{"ipBlock": block}]}])])
    )
    assert sorted(lines[:-1]) == ["-d 10.0.0.0/32 -j RETURN", "-d 10.0.0.2/31 -j RETURN"]


def test_peers_by_pod_and_namespace_labels() -> None:
    pods = [
        pod("a", "10.77.1.1", role="server"),
        pod("b", "10.77.1.2", role="client"),
        pod("c", "10.77.1.3", "there", role="client"),
        pod("d", "10.77.1.4", "there", role="other"),
    ]
    spaces = [{"metadata": {"name": "there", "labels": {"team": "blue"}}}, {"metadata": {"name": "here"}}]
    client = {"podSelector": {"matchLabels": {"role": "client"}}}
    blue = {"namespaceSelector": {"matchLabels": {"team": "blue"}}}

    def sources(peer: dict) -> list[str]:
        allow = policy(podSelector={"matchLabels": {"role": "server"}}, ingress=[{"from": [peer]}])
        return [line.split()[1] for line in only_chain(State(pods, spaces, [allow]))[:-1]]

    assert sources(client) == ["10.77.1.2/32"]
    assert sources(blue) == ["10.77.1.3/32", "10.77.1.4/32"]
    assert sources(client | blue) == ["10.77.1.3/32"]


def test_selector_operators() -> None:
    def holds(operator: str, *values: str) -> bool:
        return selects({"matchExpressions": [{"key": "k", "operator": operator, "values": list(values)}]}, {"k": "v"})

    assert holds("In", "v")
    assert not holds("NotIn", "v")
    assert holds("Exists")
    assert not holds("DoesNotExist")
    assert selects({}, {})
