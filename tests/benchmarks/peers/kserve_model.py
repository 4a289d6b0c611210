"""KServe's Python server with a model that runs ONNX or scikit-learn, as its documentation writes custom models."""

from __future__ import annotations

import sys
from typing import Any

from kserve import Model, ModelServer
from kserve.utils.utils import get_predict_input, get_predict_response


class OneModel(Model):
    """A file by its name's ending."""

    def __init__(self, name: str, file: str) -> None:
        super().__init__(name)
        self._file = file
        self.load()

    def load(self) -> bool:
        """Only its own framework is imported."""
        if self._file.endswith(".onnx"):
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            self._session = onnxruntime.InferenceSession(self._file, options)
            self._input = self._session.get_inputs()[0].name
        else:
            import joblib

            self._session, self._model = None, joblib.load(self._file)
        self.ready = True
        return self.ready

    def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        """The first output; its helper takes no more."""
        given = get_predict_input(payload)
        if self._session is None:
            return get_predict_response(payload, self._model.predict(given), self.name)
        return get_predict_response(payload, self._session.run(None, {self._input: given})[0], self.name)


if __name__ == "__main__":
    port, file = sys.argv[1:]
    ModelServer(http_port=int(port), enable_grpc=False, workers=1).start([OneModel("model", file)])
