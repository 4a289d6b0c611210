"""Flavors: what one replica may have, under a name that people choose from."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from atelier_core.template import Memory
from atelier_core.workload import Accelerators, Cores

GIB = 1024**3


class Flavor(BaseModel):
    """`accelerator` is the resource name of a device, e.g. nvidia.com/gpu; an empty `cluster` means every back end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,29}$")
    description: str = Field(default="", max_length=200)
    cpu: Cores
    memory: Memory
    accelerator: str = Field(default="", max_length=100)
    accelerators: Accelerators = 0
    cluster: str = Field(default="", max_length=63)
    node_labels: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _device_and_number(self) -> Flavor:
        if bool(self.accelerator) != bool(self.accelerators):
            raise ValueError("name the accelerator and say how many, or neither")
        return self


DEFAULTS = (
    Flavor(name="small", description="A script, a notebook, a look at some data", cpu=0.5, memory=1 * GIB),
    Flavor(name="medium", description="Training on tables, images by the thousand", cpu=2, memory=4 * GIB),
    Flavor(name="large", description="Much data in memory", cpu=4, memory=16 * GIB),
)
