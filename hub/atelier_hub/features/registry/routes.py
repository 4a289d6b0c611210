"""REST of the registry."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(tags=["models"])
