"""REST of what pipelines may use: templates, images, flavors and back ends, as the operator configured them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict

from atelier_core.errors import NotFound
from atelier_core.flavor import Flavor
from atelier_core.template import Demo, InputPort, OutputPort, ResourceRequest, RetryRequest, Stage, Template
from atelier_core.workload import Port, Topology
from atelier_hub.auth import Access, require
from atelier_hub.context import Ctx
from atelier_hub.engine.driver import Driver
from atelier_hub.features.pipelines.offer import Offer
from atelier_hub.http.paging import Page

router = APIRouter(tags=["catalog"])
Somebody = Annotated[Access, Depends(require("signed-in"))]
Name = Annotated[str, Path(min_length=1, max_length=64)]
# As files are named by it: README.zh_CN.md.
Language = Annotated[str, Query(pattern=r"^([a-z]{2,3}(_[A-Z][A-Za-z]{1,3})?)?$")]


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class TemplateSummary(_Answer):
    """A template as it stands in a palette. `op` is what its nodes have in a `.pipeline` file."""

    name: str
    version: str
    op: str
    stage: Stage
    label: str
    category: str
    description: str
    image: str
    inputs: dict[str, InputPort]
    outputs: dict[str, OutputPort]


class TemplateBody(TemplateSummary):
    """A template with its parameter form (a JSON Schema with `x-ui` hints) and its documentation (Markdown)."""

    docs: str
    readme: str
    command: list[str]
    shared: list[str]
    project_files: bool
    env: dict[str, str]
    parameters: dict[str, Any]
    resources: ResourceRequest
    replicas: int
    topology: Topology
    ports: list[Port]
    light: bool
    timeout: float
    grace: float
    retry: RetryRequest
    demo: Demo


class ImageBody(_Answer):
    """What a step runs in: `cluster_only` where there is no lock file from which a laptop could make it."""

    name: str
    reference: str
    python: str
    description: str
    cluster_only: bool


class BackendBody(BaseModel):
    """An engine that runs can be sent to by its name; `kind` is `local` or `kubernetes`, or what else was installed."""

    name: str
    kind: str
    default: bool
    reachable: bool
    capabilities: list[str]


@router.get("/templates")
def list_templates(ctx: Ctx, access: Somebody) -> Page[TemplateSummary]:
    """The templates that pipelines may use."""
    return Page(items=[TemplateSummary.model_validate(one) for one in ctx.get(Offer).templates])


@router.get("/templates/{name}")
def get_template(name: Name, ctx: Ctx, access: Somebody, language: Language = "") -> TemplateBody:
    """One template with its parameter form and its documentation, which is English where it is not translated."""
    offer = ctx.get(Offer)
    found = offer.templates.find(name)
    if found is None:
        raise NotFound(f"There is no template {name!r}.", hint=offer.templates.similar(name))
    return _body(offer, found, language)


def _body(offer: Offer, template: Template, language: str) -> TemplateBody:
    readme = offer.readme(template, language)
    return TemplateBody.model_validate(
        {**template.model_dump(), "op": template.op, "readme": readme}, from_attributes=False
    )


@router.get("/images")
def list_images(ctx: Ctx, access: Somebody) -> Page[ImageBody]:
    """The images that steps may run in."""
    return Page(items=[ImageBody.model_validate(one) for one in ctx.get(Offer).images.values()])


@router.get("/flavors")
def list_flavors(ctx: Ctx, access: Somebody) -> Page[Flavor]:
    """What one replica may have, by name."""
    return Page(items=list(ctx.get(Offer).flavors))


@router.get("/backends")
def list_backends(ctx: Ctx, access: Somebody) -> Page[BackendBody]:
    """The back ends that runs may use."""
    driver, default = ctx.get(Driver), ctx.get(Offer).default_backend
    return Page(
        items=[
            BackendBody(
                name=name,
                kind=ctx.settings.backends[name]["type"],
                default=name == default,
                reachable=driver.is_open(name),
                capabilities=sorted(backend.capabilities),
            )
            for name, backend in sorted(driver.backends.items())
        ]
    )
