"""`python -m atelier_hub.http.openapi [file]` writes the API's description, from which clients are made."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from atelier_hub.http import application, errors

TARGET = Path("docs/openapi.json")
_STATUSES = (401, 403, 404, 409, 412, 413, 422, 428, 503, 507)
# The description alone has them: for the running application they would be a thousand models that nobody uses.
_ERRORS: dict[int | str, dict[str, Any]] = {status: {"model": errors.ErrorBody} for status in _STATUSES}
# Python's words for these changed with version 3.13; the description must not.
_WORDS = {"413": "Request Entity Too Large", "422": "Unprocessable Entity"}


def document() -> dict[str, Any]:
    """The description, without starting or reading anything; paths are relative to `{base_path}/api`."""
    app = FastAPI(
        title="Atelier",
        version=application.VERSION,
        responses=_ERRORS,
        generate_unique_id_function=application.operation_id,
    )
    for router in application.routers():
        app.include_router(router)
    described = app.openapi()
    described["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    described["security"] = [{"token": []}]
    described["servers"] = [{"url": "/services/atelier/api"}]
    _one_error_shape(described)
    return described


def _one_error_shape(described: dict[str, Any]) -> None:
    """FastAPI describes its own validation error; ours has the shape of all errors."""
    reference = {"$ref": f"#/components/schemas/{errors.ErrorBody.__name__}"}
    for operations in described["paths"].values():
        for operation in operations.values():
            for status in _WORDS.keys() & operation["responses"].keys():
                operation["responses"][status]["description"] = _WORDS[status]
            if "422" in operation["responses"]:
                operation["responses"]["422"]["content"] = {"application/json": {"schema": reference}}
    for unused in ("HTTPValidationError", "ValidationError"):
        described["components"]["schemas"].pop(unused, None)


def text() -> str:
    """The description as it is kept in the repository."""
    return json.dumps(document(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
    """Write it."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    target.write_text(text(), encoding="utf-8")
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
