"""Small runs for the panels to show."""

from __future__ import annotations

from pathlib import Path

from atelier_sdk import Client
from tests.harness.control_plane import pipeline, submit, wait_for

SHOW = """
import base64, json, os, pathlib
print("\\x1b[31mred words\\x1b[0m and plain ones")
for number in range(300):
    print("line", number)
folder = pathlib.Path(os.environ["ATELIER_RESULTS"])
folder.joinpath("table.csv").write_text("name,score\\nb,2\\na,10\\nc,0.123456789012\\n")
folder.joinpath("dots.png").write_bytes(base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAFElEQVR4nGNgENGwCUip6GGgjAEAXCYRgV9IkiQAAAAASUVORK5CYII="))
folder.joinpath("page.html").write_text("<h1>Page</h1><script>document.title = parent.location.href</script>")
views = [
    {"metric_type": "metrics", "title": "Numbers", "metrics": {"accuracy": ACCURACY}},
    {"metric_type": "table", "title": "Scores", "file": "table.csv"},
    {"metric_type": "html", "title": "Site", "file": "page.html"},
    {"metric_type": "echart-line", "title": "Curve", "file": "table.csv"},
    {"metric_type": "text", "title": "Words", "text": "plain text"},
    {"metric_type": "image", "title": "Dots", "file": "dots.png"},
]
folder.joinpath("metric.json").write_text(json.dumps(views))
"""
SLEEP = "import time\nprint('asleep', flush=True)\ntime.sleep(120)\n"
FAIL = "raise SystemExit('this cannot work')\n"
# 100 MB in lines as programs write them.
LOUD = """
import sys
line = "\\x1b[32mINFO\\x1b[0m step %08d loss=0.123456 learning_rate=0.001 " + "x" * 40 + "\\n"
for start in range(0, 1_040_000, 1000):
    sys.stdout.write("".join(line % number for number in range(start, start + 1000)))
print("the very end")
"""


def lasts_until(path: Path) -> str:
    """A script that runs until there is such a file."""
    return f"import pathlib, time\nwhile not pathlib.Path({str(path)!r}).exists():\n    time.sleep(0.05)\n"


def start(client: Client, folder: Path, source: str, name: str = "shown") -> str:
    """A run of one step; returns its id."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "main.py").write_text(source)
    return submit(client, "ada", folder, pipeline({name: {"file": "main.py"}}))


def show(client: Client, folder: Path, accuracy: float = 0.75) -> str:
    """A finished run with a log and results."""
    run = start(client, folder, SHOW.replace("ACCURACY", str(accuracy)))
    assert wait_for(client, "ada", run, 180).state == "done"
    return run
