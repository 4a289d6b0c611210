"""Asked by the gateway alone (`X-Atelier-Gateway`), with the `Authorization` of its visitor."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel

from atelier_hub.auth import require_gateway, token_of
from atelier_hub.context import Ctx
from atelier_hub.features.gateway import service

router = APIRouter(prefix="/gateway", tags=["gateway"], dependencies=[Depends(require_gateway)])
ProjectName = Annotated[str, Query(max_length=255)]


class VisitorAccess(BaseModel):
    """Who the visitor is, and what they may do in the project."""

    actor: str
    project: str
    scopes: list[str]


@router.get("/access")
def visitor_access(ctx: Ctx, request: Request, project: ProjectName = "") -> VisitorAccess:
    """The visitor's access to `project`; without one, to the project that is their own."""
    access = service.visitor(ctx, token_of(request), project)
    return VisitorAccess(actor=access.actor.name, project=access.project, scopes=sorted(access.scopes))
