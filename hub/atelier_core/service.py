"""Services as people define them: what answers, with which resources, how many replicas, who gets there how.

A definition is a file, `NAME.service.yaml`; deploying it makes an immutable revision of the service.
"""

from __future__ import annotations

import re
from enum import StrEnum
from ipaddress import ip_network
from pathlib import PurePosixPath
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from atelier_core.dataset import parse_reference
from atelier_core.errors import Conflict, Invalid
from atelier_core.model_servers import MODEL_SERVERS, TRITON, VLLM
from atelier_core.routing import Limits, Log
from atelier_core.states import State
from atelier_core.template import Duration, ResourceRequest

SUFFIX = ".service.yaml"
FRAMEWORKS = ("sklearn", "xgboost", "lightgbm", "onnx", "pytorch", "tensorflow")
READY_PATH = "/v2/health/ready"
DEBUG_SECONDS = 3600.0
MODEL_FILE = "MLmodel"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_ENDINGS = {
    ".onnx": "onnx",
    ".joblib": "sklearn",
    ".pkl": "sklearn",
    ".ubj": "xgboost",
    ".txt": "lightgbm",
    ".pt": "pytorch",
}

# A date that there is not, a number of many digits, and brackets without end are told otherwise than as `YAMLError`.
_NOT_YAML = (yaml.YAMLError, ValueError, RecursionError)

_ENDS = frozenset({State.STOPPING, State.STOPPED, State.FAILED})
MOVES: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.STARTING, State.RUNNING}) | _ENDS,
    State.STARTING: frozenset({State.QUEUED, State.RUNNING}) | _ENDS,
    State.RUNNING: frozenset({State.QUEUED, State.STARTING}) | _ENDS,
    State.STOPPING: frozenset({State.QUEUED, State.STARTING, State.RUNNING, State.STOPPED, State.FAILED}),
    State.STOPPED: frozenset({State.QUEUED, State.STOPPING}),
    State.FAILED: frozenset({State.QUEUED, State.STARTING, State.RUNNING, State.STOPPING, State.STOPPED}),
}
"""What may follow what: unlike a run, a service that has stopped or failed may be deployed again."""


def check_move(before: State, after: State) -> None:
    """Refuse a move of a service that the table does not list."""
    if after not in MOVES[before]:
        raise Conflict(f"The service is {before}; it cannot become {after}.", code="illegal_move")


def check_name(name: str) -> str:
    """Return `name` if a service may be called that."""
    if not _NAME.fullmatch(name) or name.endswith("-"):
        raise Invalid(
            f"{name[:100]!r} is not a name for a service.",
            code="bad_name",
            hint="Use 1 to 40 lower-case letters, digits and dashes; start with a letter, end without a dash.",
        )
    return name


def _valid_name(name: str) -> str:
    try:
        return check_name(name)
    except Invalid as error:
        raise ValueError(f"{error.message} {error.hint}") from None


def _network(text: str) -> str:
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        raise ValueError(f"{text!r} is not a network such as 10.0.0.0/8") from None


def _token(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise ValueError(f"{text[:100]!r} cannot be the name of a header or cookie")
    return text


def _path(text: str) -> str:
    if not text.startswith("/") or not text.isprintable() or " " in text:
        raise ValueError("a path begins with / and has no spaces")
    return text


ServiceName = Annotated[str, AfterValidator(_valid_name)]
Network = Annotated[str, AfterValidator(_network)]
FieldName = Annotated[str, AfterValidator(_token)]
FieldValue = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]
UrlPath = Annotated[str, Field(max_length=500), AfterValidator(_path)]
EnvName = Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Text = Annotated[str, Field(max_length=10_000, pattern=r"^[^\x00]*$")]
# What no database stores must not come in.
Plain = Annotated[str, Field(pattern=r"^[^\x00-\x1f]*$")]
SecretName = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f]+$")]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


class Stage(StrEnum):
    """Whom a revision serves: `production` the service's URL; the others only who asks for them by a header."""

    DEBUG = "debug"
    TEST = "test"
    PRODUCTION = "production"


class StepOutput(_Model):
    """An output that a step of a run has stored. `file` is what a single file is to be called."""

    run: Plain = Field(min_length=1, max_length=64)
    step: Plain = Field(min_length=1, max_length=200)
    output: Plain = Field(default="model", min_length=1, max_length=200)
    file: str = Field(default="", max_length=100, pattern=r"^([A-Za-z0-9_][A-Za-z0-9._-]*)?$")


class Replicas(_Model):
    """How many: with a `min` of 0 the service sleeps when nobody asks."""

    min: int = Field(default=1, ge=0, le=100)
    max: int = Field(default=1, ge=1, le=100)

    @model_validator(mode="before")
    @classmethod
    def _number(cls, given: Any) -> Any:
        """A number alone means exactly so many."""
        return {"min": given, "max": given} if isinstance(given, int) and not isinstance(given, bool) else given

    @model_validator(mode="after")
    def _order(self) -> Replicas:
        if self.min > self.max:
            raise ValueError("min is more than max")
        return self


class Scale(_Model):
    """When there are more replicas and when fewer.

    `in_flight` requests under way are what one replica should have, and `cpu` percent of the processor time that it is
    given what it should use (not set: that does not matter); of the two the one counts that asks for more. Fewer
    replicas only after `steady` seconds of less load; asleep (where `replicas.min` is 0) after `idle` seconds without a
    request.
    """

    in_flight: float = Field(default=4, gt=0, le=10_000)
    cpu: float | None = None
    steady: Duration = Field(default=60, ge=0, le=86_400)
    idle: Duration = Field(default=300, ge=1, le=30 * 86_400)

    @field_validator("cpu")
    @classmethod
    def _percent(cls, given: float | None) -> float | None:
        if given is not None and not 1 <= given <= 1000:
            raise ValueError(f"{given:g} is no percentage to aim at; say one from 1 to 1000, such as 70")
        return given


class Canary(_Model):
    """How a new revision is tried first: with a share of the traffic, or for requests with a header or a cookie."""

    percent: float = Field(default=0, ge=0, le=100)
    header: dict[FieldName, FieldValue] = Field(default_factory=dict, max_length=5)
    cookie: dict[FieldName, FieldValue] = Field(default_factory=dict, max_length=5)


class Rollback(_Model):
    """When the platform goes back to the revision before by itself.

    For `window` seconds after a revision got its traffic the one before stays ready. Back it goes when more than
    `error_rate` of at least `requests` answers are errors, or the slowest hundredth takes longer than `p99` seconds
    (0: whatever it takes), and the revision before does better.
    """

    error_rate: float = Field(default=0.05, ge=0, le=1)
    p99: float = Field(default=0, ge=0)
    window: Duration = Field(default=300, ge=5, le=86_400)
    requests: int = Field(default=20, ge=1, le=1_000_000)


class Definition(_Model):
    """A service. What answers is one of: a registered `model`, the `output` of a step, or an `image` with a `command`.

    With a model or output, `image` replaces the one that its framework chooses, and a `command` the model server; the
    model is then at `${ATELIER_INPUTS}/model`. A command listens on `${ATELIER_PORT_HTTP}`; `port` is for images that
    cannot be told. `ready` is how long a replica may take until `health` answers; `grace` how long requests under way
    may take when it goes.

    A `server` of others, `triton` or `vllm`, runs on a cluster only, with `arguments` of its own. Triton's model
    repository and vLLM's folder are a model, an output, or a version of a dataset (`dataset:NAME@VERSION`); vLLM also
    fetches a public `repository` by itself.
    """

    name: ServiceName
    description: Text = ""
    model: Plain = Field(default="", max_length=400)
    output: StepOutput | None = None
    image: Plain = Field(default="", max_length=400)
    command: tuple[Annotated[str, Field(max_length=10_000, pattern=r"^[^\x00]*$")], ...] = Field(
        default=(), max_length=200
    )
    port: int = Field(default=0, ge=0, le=65535)
    health: UrlPath | None = None
    framework: Plain = Field(default="", max_length=40)
    server: Plain = Field(default="", max_length=40)
    dataset: Plain = Field(default="", max_length=100)
    repository: str = Field(default="", max_length=200, pattern=r"^([A-Za-z0-9][A-Za-z0-9._/-]*)?$")
    arguments: tuple[Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")], ...] = Field(
        default=(), max_length=100
    )
    env: dict[EnvName, Text] = Field(default_factory=dict, max_length=200)
    secrets: dict[EnvName, SecretName] = Field(default_factory=dict, max_length=50)
    on: Plain = Field(default="", max_length=63)
    stage: Stage = Stage.PRODUCTION
    flavor: Plain = Field(default="", max_length=30)
    resources: ResourceRequest = ResourceRequest()
    replicas: Replicas = Replicas()
    scale: Scale = Scale()
    limits: Limits = Limits()
    allow: tuple[Network, ...] = Field(default=(), max_length=100)
    public: bool = False
    log: Log = Log()
    canary: Canary | None = None
    mirror: float = Field(default=0, ge=0, le=100)
    rollback: Rollback | None = None
    ready: Duration = Field(default=900, ge=1, le=86_400)
    grace: Duration = Field(default=30, ge=0, le=3600)

    @model_validator(mode="after")
    def _one_thing(self) -> Definition:
        given = [name for name in ("model", "output", "dataset", "repository") if getattr(self, name)]
        if len(given) > 1:
            words = {"output": "an output of a step"}
            raise ValueError(f"name {' or '.join(words.get(one, f'a {one}') for one in given)}, not both")
        self._check_server()
        if not given and not (self.image and self.command):
            raise ValueError("name a model, an output of a step, or an image with a command")
        if self.framework and self.framework not in FRAMEWORKS:
            raise ValueError(f"framework: {self.framework!r} is not one of {', '.join(FRAMEWORKS)}")
        return self

    def _check_server(self) -> None:
        """What goes only with a server of others, and what does not go with one."""
        if not self.server:
            alone = next((name for name in ("dataset", "repository", "arguments") if getattr(self, name)), "")
            if alone:
                raise ValueError(f"{alone} is for a server: name {' or '.join(MODEL_SERVERS)}")
            return
        if self.server not in MODEL_SERVERS:
            raise ValueError(f"server: {self.server!r} is not one of {', '.join(MODEL_SERVERS)}")
        if self.command or self.port or self.framework:
            raise ValueError(f"{self.server} has its own command, port and framework; say more in arguments")
        if self.server == TRITON and self.repository:
            raise ValueError(f"repository is for {VLLM}; Triton's model repository is a model, an output or a dataset")
        if not (self.model or self.output or self.dataset or self.repository):
            raise ValueError(f"{self.server} needs a model, an output of a step, a dataset"
                             f"{' or a repository' if self.server == VLLM else ''}")  # fmt: skip
        if self.dataset and parse_reference(self.dataset) is None:
            raise ValueError("dataset: write dataset:NAME or dataset:NAME@VERSION")

    @property
    def has_model(self) -> bool:
        """Whether a model lies beside the command."""
        return bool(self.model or self.output or self.dataset)

    @property
    def least(self) -> int:
        """How many replicas a revision of it begins with; a service that people debug has one."""
        return 1 if self.stage is Stage.DEBUG else max(1, self.replicas.min)

    @property
    def most(self) -> int:
        """How many replicas there may be."""
        return 1 if self.stage is Stage.DEBUG else self.replicas.max

    @property
    def is_trial(self) -> bool:
        """Whether it is to be tried beside the revision that serves now."""
        return self.canary is not None or self.mirror > 0


def validate(raw: Any, where: str = "") -> Definition:
    """The definition in a document; `Invalid` names every field that is wrong."""
    if not isinstance(raw, dict):
        raise Invalid(f"{where or 'The definition'} is not a mapping of fields.", code="bad_service", hint=_HINT)
    try:
        return Definition.model_validate(raw)
    except ValidationError as error:
        lines = []
        for item in error.errors(include_url=False, include_input=False, include_context=False):
            place = ".".join(map(str, item["loc"]))
            lines.append(f"{place + ': ' if place else ''}{item['msg'].removeprefix('Value error, ')}")
        text = f"{where + ': ' if where else ''}{'; '.join(lines)}."
        raise Invalid(text, code="bad_service", hint=_HINT) from None


_HINT = "Correct these fields of the service's definition."


def parse(text: str, file: str) -> Definition:
    """The definition in a `NAME.service.yaml`; the name may be left out of it."""
    try:
        raw = yaml.safe_load(text)
    except _NOT_YAML as error:
        raise Invalid(f"{file} is not YAML: {error}", code="bad_service", hint="Correct the file.") from None
    if isinstance(raw, dict) and "name" not in raw:
        raw["name"] = PurePosixPath(file).name.removesuffix(SUFFIX)
    return validate(raw, file)


def framework_of_file(name: str) -> str:
    """The framework whose models have this ending; empty if none has."""
    return _ENDINGS.get(PurePosixPath(name).suffix.lower(), "")


def framework_of_folder(mlmodel: str) -> str:
    """The framework of a model folder, by the text of its `MLmodel`; empty if it names none that is served."""
    try:
        raw = yaml.safe_load(mlmodel)
    except _NOT_YAML:
        return ""
    flavors = raw.get("flavors") if isinstance(raw, dict) else None
    if not isinstance(flavors, dict):
        return ""
    return next((name for name in FRAMEWORKS if name in flavors), "")
