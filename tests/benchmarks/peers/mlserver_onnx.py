"""A model of MLServer that runs ONNX: it has none of its own. As its documentation writes custom runtimes."""

from __future__ import annotations

import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxModel(MLModel):
    """One session with one thread."""

    async def load(self) -> bool:
        """From the settings' uri."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        assert self.settings.parameters is not None
        self._session = onnxruntime.InferenceSession(self.settings.parameters.uri, options)
        self._input = self._session.get_inputs()[0].name
        self._outputs = [one.name for one in self._session.get_outputs()]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """The outputs that were asked for, or all."""
        given = NumpyCodec.decode_input(payload.inputs[0])
        names = [one.name for one in payload.outputs or []] or self._outputs
        found = self._session.run(names, {self._input: given})
        outputs = [NumpyCodec.encode_output(name, one) for name, one in zip(names, found, strict=True)]
        return InferenceResponse(model_name=self.name, outputs=outputs)
