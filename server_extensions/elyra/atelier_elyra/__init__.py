"""Atelier's templates and its engine in Elyra's own pipeline editor."""

from atelier_elyra.compat import ATELIER

__all__ = ["ATELIER"]
