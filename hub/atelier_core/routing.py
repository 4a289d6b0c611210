"""What the gateway must know of services and keys: one document, made by the control plane, kept by the gateway."""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_network
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator


class _Frozen(BaseModel):
    # A newer control plane may say more. JSON has no infinity: one in a service would spoil the document of all.
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Replica(_Frozen):
    """One process that answers at `url` (`http://host:port`)."""

    id: str
    url: str

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError(f"{url!r} is not the URL of a replica (http://host:port)")
        return url


class Target(_Frozen):
    """A revision and its replicas. `weight` is its share of the traffic that nothing else decides, 0 to 100.

    A request comes here whatever the weights when one of `headers` or `cookies` (name → value) matches.
    `mirror` percent of the service's requests are sent here as well, their answers thrown away.
    """

    revision: int
    weight: float = Field(default=0, ge=0, le=100)
    headers: dict[str, str] = Field(default_factory=dict)
    cookies: dict[str, str] = Field(default_factory=dict)
    mirror: float = Field(default=0, ge=0, le=100)
    replicas: tuple[Replica, ...] = ()


class Limits(_Frozen):
    """Bounds of a service. Bytes and seconds; `rate` is requests per second of one caller; 0 means no limit.

    `timeout` is how long nothing may move: until the answer begins, between its pieces, and while the service wakes up.
    The two sizes also bound one message of a websocket, which never has more than 64 MiB.
    """

    rate: float = Field(default=0, ge=0)
    burst: int = Field(default=0, ge=0, le=10**9)
    request_bytes: int = Field(default=32 * 1024**2, gt=0, le=2**53)
    response_bytes: int = Field(default=256 * 1024**2, gt=0, le=2**53)
    timeout: float = Field(default=60, gt=0, le=86_400)
    concurrency: int = Field(default=0, ge=0, le=10**9)


class Log(_Frozen):
    """What of the requests is written down: the share `sample` of them (0 to 1), with their `bodies` or without."""

    sample: float = Field(default=0, ge=0, le=1)
    bodies: bool = False


class ServiceRoute(_Frozen):
    """Where the requests of one service go. `sleeping`: it has no replica now and is woken by a request.

    `public` services ask for no key. `allow` are networks that may call (CIDR; empty: all).
    """

    targets: tuple[Target, ...] = ()
    public: bool = False
    sleeping: bool = False
    limits: Limits = Limits()
    allow: tuple[str, ...] = ()
    log: Log = Log()

    @field_validator("allow")
    @classmethod
    def _check_allow(cls, allow: tuple[str, ...]) -> tuple[str, ...]:
        for network in allow:
            ip_network(network, strict=False)
        return allow


class Key(_Frozen):
    """A service key by its hash. `services` are names within the project; empty means all of them."""

    id: str
    sha256: str
    project: str
    services: tuple[str, ...] = ()
    expires_at: datetime | None = None


class Routes(_Frozen):
    """Everything. `services` is by `project/name`. A document with a smaller `generation` is refused."""

    generation: int
    services: dict[str, ServiceRoute] = Field(default_factory=dict)
    keys: tuple[Key, ...] = ()


class TargetStats(_Frozen):
    """What a gateway counted of one revision since it started; `since` tells one start from the next.

    `errors` are answers of 500 and more, and those that broke off or never came. What was mirrored is counted where
    it went. `latency` counts answers by upper bounds in seconds (`LATENCY_BOUNDS`, the last one open). `active` are
    requests under way now; `last_request` is when the last one came.
    """

    requests: int = 0
    errors: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    latency: tuple[int, ...] = ()
    active: int = 0
    last_request: datetime | None = None


class GatewayStats(_Frozen):
    """All counters: `project/name` → revision → figures. `waiting` are requests that wait for a sleeping service.

    `refused` are requests that reached no revision, by the code of the refusal (`rate_limited`, `no_replica`, …).
    """

    since: datetime
    generation: int = 0
    services: dict[str, dict[int, TargetStats]] = Field(default_factory=dict)
    waiting: dict[str, int] = Field(default_factory=dict)
    refused: dict[str, dict[str, int]] = Field(default_factory=dict)


LATENCY_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
