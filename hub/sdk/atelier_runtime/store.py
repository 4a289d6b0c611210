"""After the command: values, declared outputs, results."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from atelier_runtime import archive, results
from atelier_runtime.api import Api, ApiError, AttemptOver, OwnFault, Unreachable
from atelier_runtime.outcome import DEPTH, OUTPUT_MISSING, OUTPUT_UNSTORED, Failure, Outcome, TooDeep, plain
from atelier_runtime.spec import Output, ShimSpec

Say = Callable[[str], None]

_TOO_LARGE = 413
_VALUES = "outputs/outputs.json"
_VALUES_LIMIT = 1024**2


def read_values(spec: ShimSpec) -> dict[str, Any]:
    """The small values that the command left in `outputs.json`."""
    path = spec.path(_VALUES)
    try:
        with open(path, "rb") as file:
            text = file.read(_VALUES_LIMIT + 1)
        document = json.loads(text) if len(text) <= _VALUES_LIMIT else None
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Failure(OUTPUT_MISSING, f"outputs/outputs.json could not be read as JSON: {error}.") from error
    except RecursionError:
        raise _too_deep() from None
    if not isinstance(document, dict):
        raise Failure(OUTPUT_MISSING, "outputs/outputs.json must hold one JSON object of at most 1 MiB.")
    try:
        values: dict[str, Any] = plain(document)
    except TooDeep:
        raise _too_deep() from None
    return values


def _too_deep() -> Failure:
    return Failure(OUTPUT_MISSING, f"outputs/outputs.json must not hold lists and objects more than {DEPTH} deep.")


def store(spec: ShimSpec, api: Api | None, result: Outcome, say: Say) -> None:
    """Fill `result` with values and stored outputs; `Failure` if one is missing or could not be stored.

    What is wrong with the result views, for which a step does not fail, goes to `say`.
    """
    result.values = read_values(spec)
    found = [output for output in spec.outputs if _is_there(spec, output, result.values)]
    for output in found:
        if output.type != "value":
            result.outputs[output.name] = _store_output(spec, output, api)
    if os.path.isdir(spec.path("results")) and os.listdir(spec.path("results")):
        _store_results(spec, api, result, say)
    result.stored = True


def _store_results(spec: ShimSpec, api: Api | None, result: Outcome, say: Say) -> None:
    try:
        result.outputs["results"] = _store_output(spec, Output(name="results", type="results", path="results"), api)
    except Failure as failure:
        if failure.reason != OUTPUT_MISSING:
            raise
        say(f"[Atelier: the results of this step are not kept: {failure.message}]")


def gather_results(spec: ShimSpec, since: float, say: Say) -> None:
    """Bring the result views together; a step does not fail because of them."""
    try:
        if not os.path.isdir(spec.path("results")):
            os.mkdir(spec.path("results"))  # not what it lies in: that may be gone, which is then told
        results.gather(spec, since)
    except (OSError, ValueError, RecursionError) as error:
        say(f"[Atelier: the results of this step could not be read: {error}.]")


def _is_there(spec: ShimSpec, output: Output, values: dict[str, Any]) -> bool:
    if output.type == "value":
        there, place = output.name in values, f"the key {output.name!r} of outputs/outputs.json"
    else:
        there, place = os.path.exists(spec.path(output.place)), output.place
    if not there and output.required:
        raise Failure(
            OUTPUT_MISSING,
            f"The step declares the output {output.name!r} but left nothing at {place}{_what_is_there(spec)}.",
        )
    return there


def _what_is_there(spec: ShimSpec) -> str:
    try:
        names = sorted(os.listdir(spec.path("outputs")))[:5]
    except OSError:
        names = []
    return " (in outputs/ there is: {})".format(", ".join(names)) if names else " (outputs/ is empty)"


def _store_output(spec: ShimSpec, output: Output, api: Api | None) -> str:
    path = spec.path(output.place)
    if api is None:
        raise Failure(OUTPUT_UNSTORED, "The attempt has outputs, but no address to store them at.")
    if not archive.inside(os.path.realpath(spec.root), path):
        raise Failure(OUTPUT_MISSING, f"The output {output.name!r} is a link that leads out of the attempt's folder.")
    kind = "folder" if os.path.isdir(path) else "file"
    if kind == "file" and not os.path.isfile(path):  # a pipe would never be read to its end
        raise Failure(OUTPUT_MISSING, f"The output {output.name!r} is neither a file nor a folder.")
    headers = {"X-Atelier-Kind": kind, "X-Atelier-Type": output.type, "Content-Type": "application/octet-stream"}
    target = "outputs/" + quote(output.name, safe="")
    try:
        if kind == "folder":
            answer = api.put_stream(target, lambda: archive.pack(path), headers)
        else:
            answer = api.put_file(target, path, headers)
    except AttemptOver:
        raise
    except (OwnFault, archive.BadArchive) as error:
        raise Failure(OUTPUT_MISSING, f"The output {output.name!r} cannot be stored as it is. {error}") from error
    except (ApiError, Unreachable) as error:
        if isinstance(error, ApiError) and error.status == _TOO_LARGE:  # it would be so the next time, too
            raise Failure(OUTPUT_MISSING, str(error)) from error
        raise Failure(OUTPUT_UNSTORED, f"The output {output.name!r} could not be stored. {error}") from error
    return str(answer.get("artifact", ""))
