"""From a definition to a plan: where the model is, which framework it is of, which image and command serve it."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from sqlalchemy.orm import Session

from atelier_core import model_servers
from atelier_core.dataset import parse_reference
from atelier_core.errors import Conflict, Invalid, NotFound
from atelier_core.flavor import GIB, Flavor
from atelier_core.image import Image
from atelier_core.service import MODEL_FILE, READY_PATH, Definition, framework_of_file, framework_of_folder
from atelier_core.workload import Resources
from atelier_hub.artifacts.store import ArtifactStore
from atelier_hub.artifacts.tars import open_tar
from atelier_hub.context import Settings
from atelier_hub.engine.store import Artifact, artifacts_of
from atelier_hub.features.datasets import service as datasets
from atelier_hub.features.registry import service as registry
from atelier_hub.features.serving.plan import Content, ServingPlan, model_place
from atelier_templates.images import load_images
from atelier_templates.loader import pack

SERVER = "atelier_serve"
_SERVER_RESOURCES = Resources(cpu=0.25, memory=GIB)
_MOST = 1024**2
_LOOKED_AT = 1000  # files of a folder before one gives up looking for its MLmodel


@dataclass(frozen=True)
class ServingOffer:
    """What services may refer to, loaded once at start; `server` is the model server's code, empty without it."""

    images: Mapping[str, Image]
    flavors: Mapping[str, Flavor]
    backends: Mapping[str, str]
    default_backend: str
    server: str


@dataclass(frozen=True)
class Source:
    """A model that was found: what it is called in the list of uses, and its framework if that is known."""

    name: str
    content: Content
    framework: str = ""
    version: str = ""
    approved: bool = True


def load_offer(settings: Settings, store: ArtifactStore) -> ServingOffer:
    """Read images and flavors, and put the model server's code into the store."""
    return ServingOffer(
        images={**load_images(), **settings.images},
        flavors={flavor.name: flavor for flavor in settings.flavors},
        backends={name: options["type"] for name, options in settings.backends.items()},
        default_backend=settings.default_backend,
        server=_store_server(store),
    )


def _store_server(store: ArtifactStore) -> str:
    found = find_spec(SERVER)
    if found is None or not found.submodule_search_locations:
        return ""
    root = Path(next(iter(found.submodule_search_locations)))
    files = {
        f"{SERVER}/{file.relative_to(root).as_posix()}": file
        for file in sorted(root.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    }
    return store.put_sync([pack(files).data]).digest


def find_source(session: Session, project: str, definition: Definition) -> Source | None:
    """The model that is to be served; None for an image that needs none."""
    if definition.model:
        found = registry.content(session, project, definition.model)
        files = tuple((one.path, one.size, one.digest) for one in found.files)
        framework = found.framework
        return Source(found.reference, Content(files=files), framework, str(found.number), found.approved)
    if definition.dataset:
        return _of_dataset(session, project, definition.dataset)
    if definition.output is None:
        return None
    wanted = definition.output
    artifact = _artifact(session, project, wanted.run, wanted.step, wanted.output)
    file = wanted.file if artifact.kind == "file" else ""
    content = Content(kind=artifact.kind, digest=artifact.digest, size=artifact.size, file=file)
    return Source(f"run:{wanted.run}/{wanted.step}/{wanted.output}", content)


def _of_dataset(session: Session, project: str, reference: str) -> Source:
    """A version of a dataset as it is; its contents stay for as long as a revision has them in its plan."""
    wanted = parse_reference(reference)
    assert wanted is not None
    found = datasets.content(session, project, wanted)
    if found.kind == "uri":
        raise Invalid(
            f"{found.reference} is kept at {found.uri}, not here, so it cannot be put beside a model server.",
            code="not_here",
            hint="Make a version of its files, or name a repository that vLLM fetches itself.",
        )
    return Source(str(found.reference), Content(files=tuple((one.path, one.size, one.digest) for one in found.files)))


def _artifact(session: Session, project: str, run: str, step: str, output: str) -> Artifact:
    found = [one for one in artifacts_of(session, run, {step}) if one.name == output and one.project == project]
    if not found:
        raise NotFound(
            f"Step {step[:100]!r} of run {run!r} has stored no output {output[:100]!r} in project {project!r}.",
            code="no_output",
            hint="Look at what the run left: its artifacts are in the Runs panel.",
        )
    return found[-1]


def make_plan(
    offer: ServingOffer,
    store: ArtifactStore,
    definition: Definition,
    source: Source | None,
    *,
    number: int,
    backend: str,
) -> ServingPlan:
    """What the replicas run; `Invalid` or `Conflict` if that can never work. Blocking: may read from the store."""
    local = offer.backends[backend] == "local"
    if definition.server:
        return _plan_of_server(offer, definition, source, backend)
    if definition.port and local:
        raise Invalid(
            "Replicas on one machine cannot share a port, so a service there has none of its own.",
            code="fixed_port",
            hint="Leave `port` out and let the command listen on ${ATELIER_PORT_HTTP}, or run it on a cluster.",
        )
    command, image, code = definition.command, definition.image, ""
    if source is not None and not command:
        if not offer.server:
            raise Conflict(
                "The model server is not installed here.",
                code="no_model_server",
                hint="The operator installs the package atelier-serve beside the control plane.",
            )
        framework = definition.framework or source.framework or _look_inside(store, source.content)
        image, code = definition.image or _image_of(offer, framework), offer.server
        command = _server_command(definition, source, number, local)
    if source is not None and not image:
        raise Invalid("A command needs an image.", code="no_image", hint="Name the image that the command runs in.")
    _check_image(offer, image, local)
    return ServingPlan(
        image=image,
        command=command,
        port=definition.port,
        health=definition.health or (READY_PATH if code else ""),
        env=definition.env,
        secrets=definition.secrets,
        resources=_resources(offer, definition, backend, _SERVER_RESOURCES if source else Resources()),
        grace=definition.grace,
        code=code,
        content=source.content if source else None,
    )


def _plan_of_server(offer: ServingOffer, definition: Definition, source: Source | None, backend: str) -> ServingPlan:
    """A server of others, as its image has it: the model lies beside it, or it fetches one by name."""
    server = model_servers.find(definition.server)
    image = definition.image or server.image
    if offer.backends[backend] == "local":
        clusters = sorted(name for name, kind in offer.backends.items() if kind != "local")
        raise Invalid(
            f"{server.name} runs on a cluster only: it comes as an image, from which this machine can make nothing.",
            code="cluster_only",
            hint=f"Deploy it with on: {' or '.join(clusters)}." if clusters else "Connect a cluster first.",
        )
    resources = _resources(offer, definition, backend, server.resources)
    if server.name == model_servers.VLLM and image == server.image and not resources.accelerators:
        raise Invalid(
            "vLLM's image needs an accelerator.",
            code="no_accelerator",
            hint="Name a flavor that has one, or an image of vLLM for processors.",
        )
    model = "${ATELIER_INPUTS}/" + PurePosixPath(model_place(source.content)).name if source else definition.repository
    command = model_servers.command(
        server.name, definition.name, model, definition.grace, resources.accelerators, definition.arguments
    )
    return ServingPlan(
        image=image,
        command=tuple(command),
        port=server.ports[0].port,
        ports=server.ports,
        health=definition.health or server.health,
        env={**server.env, **({"HF_HUB_OFFLINE": "1"} if source else {}), **definition.env},
        secrets=definition.secrets,
        resources=resources,
        grace=definition.grace,
        content=source.content if source else None,
    )


def _server_command(definition: Definition, source: Source, number: int, local: bool) -> tuple[str, ...]:
    """The model is called as the service is, so that callers need not know what is behind it."""
    options = {
        "--name": definition.name,
        "--version": source.version or str(number),
        "--host": "127.0.0.1" if local else "0.0.0.0",  # noqa: S104
        "--max-request-bytes": str(definition.limits.request_bytes),
        "--stop-timeout": f"{definition.grace:g}",
    }
    place = "${ATELIER_INPUTS}/" + PurePosixPath(model_place(source.content)).name
    return ("python", "-m", SERVER, place, *(part for option in options.items() for part in option))


def _look_inside(store: ArtifactStore, content: Content) -> str:
    """The framework of a stored model, by its `MLmodel` or by the endings of its files."""
    if content.files:
        found = next((digest for path, _, digest in content.files if path == MODEL_FILE), None)
        if found is not None:
            return framework_of_folder(b"".join(store.read(found, 0, _MOST)).decode("utf-8", "replace"))
        return next((kind for path, _, _ in content.files if (kind := framework_of_file(path))), "")
    if content.kind == "file":
        return framework_of_file(content.file)
    return _look_into_tar(store.read(content.digest))


def _look_into_tar(pieces: Iterator[bytes]) -> str:
    guess = ""
    try:
        with open_tar(pieces, "r|") as tar:
            for count, member in enumerate(tar):
                name = member.name.removeprefix("./")
                file = tar.extractfile(member) if name == MODEL_FILE and member.isfile() else None
                if file is not None:
                    return framework_of_folder(file.read(_MOST).decode("utf-8", "replace"))
                guess = guess or framework_of_file(name)
                if count > _LOOKED_AT:
                    break
    except (tarfile.TarError, EOFError, OSError):
        return ""
    return guess


def _image_of(offer: ServingOffer, framework: str) -> str:
    if not framework:
        raise Invalid(
            "It cannot be told which framework the model is of: it has no MLmodel, and its files no known ending.",
            code="unknown_framework",
            hint="Name the framework (sklearn, xgboost, lightgbm, onnx, pytorch, tensorflow), or an image.",
        )
    name = f"serve-{framework}"
    if name not in offer.images:
        raise Invalid(
            f"There is no image {name!r} here, which serves models of {framework}.",
            code="unknown_image",
            hint="Name another image, or let the operator add this one.",
        )
    return name


def _check_image(offer: ServingOffer, image: str, local: bool) -> None:
    known = offer.images.get(image)
    if not local or (known is not None and not known.cluster_only):
        return
    what = "is only for clusters" if known is not None else "is not known here"
    names = ", ".join(sorted(name for name, one in offer.images.items() if not one.cluster_only))
    raise Invalid(
        f"The image {image[:100]!r} {what}, so it cannot run on this machine.",
        code="unknown_image",
        hint=f"Deploy it to a cluster (on: NAME), or use one of {names}.",
    )


def _resources(offer: ServingOffer, definition: Definition, backend: str, base: Resources) -> Resources:
    if definition.flavor:
        flavor = offer.flavors.get(definition.flavor)
        if flavor is None or flavor.cluster not in ("", backend):
            names = ", ".join(sorted(name for name, one in offer.flavors.items() if one.cluster in ("", backend)))
            raise Invalid(
                f"There is no flavor {definition.flavor!r} on {backend!r}.",
                code="unknown_flavor",
                hint=f"There are: {names}.",
            )
        base = Resources(
            cpu=flavor.cpu,
            memory=flavor.memory,
            accelerator=flavor.accelerator,
            accelerators=flavor.accelerators,
        )
    return definition.resources.over(base)
