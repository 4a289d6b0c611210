"""Shows what it was given."""

import json
import os
import sys
from pathlib import Path

given = json.loads(Path(os.environ["ATELIER_PARAMETERS"]).read_text())
# The files of a dataset lie among the inputs, under the parameter's name.
data = Path(os.environ["ATELIER_INPUTS"], "data")
if data.exists():
    files = [data] if data.is_file() else sorted(file for file in data.rglob("*") if file.is_file())
    given["files"] = {file.name: file.read_text() for file in files}
variables = {name: value for name, value in os.environ.items() if name.startswith("CONTROL_")}
if variables:
    given["variables"] = variables
text = json.dumps(given, sort_keys=True)
print(text)
sys.stdout.flush()
Path(os.environ["ATELIER_OUTPUTS"], "given").write_text(text)
results = Path(os.environ["ATELIER_RESULTS"])
results.mkdir(parents=True, exist_ok=True)
view = {"metric_type": "text", "title": "Given", "text": text}
(results / "metric.json").write_text(json.dumps([view]))
