"""PyTorch: TorchScript, exported programs, and whole modules that MLflow pickled."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import numpy as np
import torch

from atelier_serve import datatypes
from atelier_serve.errors import CannotServe, Exit
from atelier_serve.folder import Found
from atelier_serve.model import Model, Settings
from atelier_serve.signature import UNNAMED_INPUT, Field

_FILES = ("model.pt2", "model.pt", "model.pth")


class TorchModel(Model):
    """A module; the signature's tensors are its arguments, in their order."""

    platform = "pytorch_torchscript"
    unnamed = "output"
    takes = "tensors"
    # Torch says RuntimeError of shapes that do not fit.
    input_errors = (ValueError, TypeError, RuntimeError)

    def __init__(self, module: Any, device: str, found: Found) -> None:
        self._module = module
        self._device = device
        free = Field(UNNAMED_INPUT, "FP32", (-1,), named=False, free=True)
        self.inputs = found.signature.inputs if not found.signature.columns else ()
        self.inputs = self.inputs or (_matrix(found) if found.signature.columns else (free,))
        self._names = [field.name for field in found.signature.outputs if field.named]

    def predict(self, given: Any, wanted: Set[str]) -> Mapping[str, np.ndarray]:
        """Tensor, several of them, or a dictionary."""
        tensors = [torch.from_numpy(array).to(self._device) for array in given.values()]
        try:
            with torch.inference_mode():
                found = self._module(*tensors)
        except torch.OutOfMemoryError as error:  # not the caller's fault
            raise MemoryError(str(error)) from error
        if isinstance(found, Mapping):
            return {str(name): _array(one) for name, one in found.items()}
        several = list(found) if isinstance(found, tuple | list) else [found]
        return {self._name(at, len(several)): _array(one) for at, one in enumerate(several)}

    def _name(self, at: int, count: int) -> str:
        if at < len(self._names):
            return self._names[at]
        return self.unnamed if count == 1 else f"{self.unnamed}_{at}"


def load(found: Found, settings: Settings) -> Model:
    """Onto the accelerator where there is one."""
    torch.set_num_threads(settings.cores)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    path = _file(found.path)
    module = torch.export.load(path).module() if path.suffix == ".pt2" else _module(path, device)
    if isinstance(module, Mapping):
        raise CannotServe(
            f"{path.name} holds weights without the module that they belong to. "
            "Save it as TorchScript (torch.jit.script) or with torch.export.",
            Exit.UNKNOWN_FORMAT,
        )
    return TorchModel(module, device if path.suffix != ".pt2" else "cpu", found)


def _module(path: Path, device: str) -> Any:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            scripted = any(name.endswith("/constants.pkl") for name in archive.namelist())
        if scripted:
            return torch.jit.load(path, map_location=device).eval()
    module = torch.load(path, map_location=device, weights_only=False)
    return module.eval() if hasattr(module, "eval") else module


def _file(path: Path) -> Path:
    if path.is_file():
        return path
    found = [path / name for name in _FILES if (path / name).is_file()]
    if not found:
        raise CannotServe(f"There is none of {', '.join(_FILES)} in {path}.", Exit.BROKEN_MODEL)
    return found[0]


def _matrix(found: Found) -> tuple[Field, ...]:
    """Columns are put into one matrix, FP32 as modules are."""
    return (Field(UNNAMED_INPUT, "FP32", (-1, len(found.signature.inputs)), named=False),)


def _array(tensor: Any) -> np.ndarray:
    found = tensor.detach().cpu()
    if found.dtype == torch.bfloat16:
        found = found.float()
    array: np.ndarray = found.numpy()
    return array if datatypes.name_of(array.dtype) != "BYTES" else array.astype(np.float64)
