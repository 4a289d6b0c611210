"""The shape of a pipeline: an order in which steps can run, and the circles that keep one from existing."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

Parents = Mapping[str, Sequence[str]]


def order(parents: Parents) -> list[str]:
    """Every node after its parents, otherwise as given; nodes in or behind a circle are left out."""
    missing = {node: len(set(above)) for node, above in parents.items()}
    children: dict[str, list[str]] = {node: [] for node in parents}
    for node, above in parents.items():
        for parent in dict.fromkeys(above):
            children[parent].append(node)
    ready = deque(node for node, count in missing.items() if not count)
    found = []
    while ready:
        node = ready.popleft()
        found.append(node)
        for child in children[node]:
            missing[child] -= 1
            if not missing[child]:
                ready.append(child)
    return found


def circles(parents: Parents) -> list[list[str]]:
    """Circles, each as the nodes that one passes, the first one again at the end; no two share a node."""
    left = {node: list(above) for node, above in parents.items()}
    found: list[list[str]] = []
    while True:
        fine = set(order(left))
        left = {node: [one for one in above if one not in fine] for node, above in left.items() if node not in fine}
        if not left:
            return found
        circle = _walk_up(left)
        found.append(circle)
        gone = set(circle)
        left = {node: [one for one in above if one not in gone] for node, above in left.items() if node not in gone}


def _walk_up(parents: Parents) -> list[str]:
    """Follow parents until a node comes again. Every node here has one, or it would have been in the order."""
    path: list[str] = []
    place: dict[str, int] = {}
    node = next(iter(parents))
    while node not in place:
        place[node] = len(path)
        path.append(node)
        node = parents[node][0]
    circle = path[place[node] :][::-1]
    given = {one: index for index, one in enumerate(parents)}
    first = circle.index(min(circle, key=given.__getitem__))
    circle = circle[first:] + circle[:first]
    return [*circle, circle[0]]
