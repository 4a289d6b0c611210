"""Puts the result of the evaluation into words: `summary.md` beside this script, and a view of it."""

import json
import os
from pathlib import Path

report = json.loads((Path(os.environ["ATELIER_INPUTS"]) / "metrics").read_text("utf-8"))
given = json.loads(Path(os.environ["ATELIER_PARAMETERS"]).read_text("utf-8"))

lines = [f"# Handwritten digits, {report['rows']} test images", ""]
for name, measured in sorted(report["models"].items()):
    weakest = min(measured["classes"], key=lambda one: one["f1"])
    lines.append(
        f"- **{name}** reads {measured['accuracy']:.2%} of them right; "
        f"it finds the {weakest['class']} hardest (F1 {weakest['f1']:.3f})."
    )
lines += ["", f"The better one is {given['best']}. Run by {given['author']}."]
summary = "\n".join(lines) + "\n"

Path("summary.md").write_text(summary, "utf-8")
view = {"metric_type": "text", "describe": "Summary", "text": summary}
(Path(os.environ["ATELIER_RESULTS"]) / "metric.json").write_text(json.dumps([view]), "utf-8")
print(summary)
