"""From documents to plans: what each mistake is told, and what a plan holds."""

from __future__ import annotations

from typing import Any

import pytest

from atelier_core.image import Image
from atelier_core.pipeline.compile import check, compile
from atelier_core.pipeline.document import InvalidPipeline, Problem, parse
from atelier_core.pipeline.plan import CodeRef, InputPlan, OutputRef, Plan, StepPlan
from atelier_core.states import Cause
from atelier_core.template import op_id
from atelier_core.workload import Resources, Topology
from tests.atelier_core.documents import CATALOG, FILES, context, node, pipeline, read, script, train

READ_OP = op_id("read-data")


def problems(raw: dict[str, Any], **settings: Any) -> list[Problem]:
    return check(parse(raw), CATALOG, settings.pop("files", FILES), **settings)


def plan(raw: dict[str, Any], **fields: Any) -> Plan:
    return compile(parse(raw), CATALOG, context(**fields))


def step(raw: dict[str, Any], name: str, **fields: Any) -> StepPlan:
    return next(one for one in plan(raw, **fields).steps if one.name == name)


def notebook(node_id: str, *parents: str, **parameters: Any) -> dict[str, Any]:
    return node(node_id, "execute-notebook-node", {"filename": "sub/notebook.ipynb", **parameters}, *parents)


WRONG: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "empty": (pipeline(), "", "nodes", "has no steps"),
    "unknown op": (pipeline(node("n", "execute-cobol-node", {})), "n", "op", "not known here (execute-cobol-node)"),
    "unknown template": (pipeline(node("n", "x", {}, template="reed-data")), "n", "template", "not in the catalog"),
    "unknown template op": (pipeline(node("n", op_id("gone"), {})), "n", "template", "not in the catalog"),
    "unknown version": (
        pipeline(node("n", "x", {}, template="read-data", version="9.9")),
        "n",
        "template",
        "version 9.9",
    ),
    "circle": (pipeline(script("a", "c"), script("b", "a"), script("c", "b")), "", "inputs", "a → b → c → a"),
    "itself": (pipeline(script("a", "a")), "a", "inputs", "a → a"),
    "dangling link": (pipeline(script("a", "gone")), "a", "inputs", "not in the pipeline (gone)"),
    "dangling source": (pipeline(train("t", "gone")), "t", "inputs", "not in the pipeline (gone)"),
    "name twice": (
        pipeline(read("a"), node("b", "execute-python-node", {"filename": "main.py"}, name="a")),
        "b",
        "name",
        "called 'a'",
    ),
    "no filename": (pipeline(script("a", filename="")), "a", "filename", "has no file"),
    "missing file": (pipeline(script("a", filename="gone.py")), "a", "filename", "no file 'gone.py'"),
    "outside": (pipeline(script("a", filename="../main.py")), "a", "filename", "outside the project"),
    "outside in the middle": (pipeline(script("a", filename="sub/../../x.py")), "a", "filename", "outside the project"),
    "absolute": (pipeline(script("a", filename="/etc/passwd")), "a", "filename", "outside the project"),
    "drive": (pipeline(script("a", filename="C:\\x.py")), "a", "filename", "outside the project"),
    "missing dependency": (pipeline(script("a", dependencies=["x.csv"])), "a", "dependencies", "no file 'x.csv'"),
    "outside dependency": (pipeline(script("a", dependencies=["../x"])), "a", "dependencies", "outside the project"),
    "no match": (pipeline(script("a", dependencies=["*.xyz"])), "a", "dependencies", "matches '*.xyz'"),
    "outside output": (pipeline(script("a", outputs=["../x.csv"])), "a", "outputs", "'../x.csv'"),
    "wildcard output": (pipeline(script("a", outputs=["*.csv"])), "a", "outputs", "'*.csv'"),
    "file parameter": (pipeline(read(file="gone.csv")), "read", "file", "no file 'gone.csv'"),
    "file parameter outside": (pipeline(read(file="../x")), "read", "file", "outside the project"),
    "missing parameter": (pipeline(read(file="")), "read", "file", "'file' is missing"),
    "unknown parameter": (pipeline(read(row=3)), "read", "row", "no parameter 'row'"),
    "too small": (pipeline(read(rows=0)), "read", "rows", "less than the minimum of 1"),
    "wrong type": (pipeline(read(rows="many")), "read", "rows", "'many' is not of type 'integer'"),
    "not a choice": (pipeline(read(mode="quick")), "read", "mode", "not one of ['fast', 'safe']"),
    "bad item": (pipeline(read(names=[1])), "read", "names", "1 is not of type 'string'"),
    "unknown variable": (pipeline(read(file="{{ nope }}.csv")), "read", "file", "{{ nope }} is not known here"),
    "unknown run parameter": (pipeline(read(rows="{{ parameters.n }}")), "read", "rows", "no run-time parameter 'n'"),
    "broken expression": (pipeline(read(file="{{ creator")), "read", "file", "not a valid expression"),
    "escape": (pipeline(read(file="{{ ''.__class__ }}")), "read", "file", "not allowed"),
    "not connected": (pipeline(node("t", op_id("train-model"), {})), "t", "data", "'data' is not connected"),
    "half connected": (
        pipeline(node("t", op_id("train-model"), {"data": {"widget": "inputpath"}})),
        "t",
        "data",
        "not connected",
    ),
    "type mismatch": (
        pipeline(read(), train("m", "read"), train("t", "m", "model")),
        "t",
        "data",
        "takes 'dataset', but 'model'",
    ),
    "value into input": (pipeline(read(), train("t", "read", "count")), "t", "data", "takes 'dataset', but 'count'"),
    "artifact into parameter": (
        pipeline(
            read(),
            train("t", "read", rate={"widget": "inputpath", "value": {"value": "read", "option": "output_data"}}),
        ),
        "t",
        "rate",
        "takes 'value', but 'data'",
    ),
    "no such output": (pipeline(read(), train("t", "read", "dada")), "t", "data", "no output 'dada'"),
    "no such input": (
        pipeline(read(), node("t", op_id("train-model"), {}, inputs={"date": {"node": "read", "output": "data"}})),
        "t",
        "date",
        "no input 'date'",
    ),
    "script takes unknown output": (
        pipeline(
            script("a"),
            node("b", "execute-python-node", {"filename": "main.py"}, inputs={"x": {"node": "a", "output": "y"}}),
        ),
        "b",
        "x",
        "no output 'y'",
    ),
    "name of an input": (
        pipeline(
            script("a", outputs=["x"]),
            node("b", "execute-python-node", {"filename": "main.py"}, inputs={"x/y": {"node": "a", "output": "x"}}),
        ),
        "b",
        "x/y",
        "'x/y' cannot be the name of an input",
    ),
    "bad output type": (
        pipeline(node("a", "execute-python-node", {"filename": "main.py"}, outputs={"x": "No Type"})),
        "a",
        "outputs.x",
        "No Type",
    ),
    "reserved output": (
        pipeline(node("a", "execute-python-node", {"filename": "main.py"}, outputs={"results": "any"})),
        "a",
        "outputs.results",
        "results",
    ),
    "r without image": (
        pipeline(node("r", "execute-r-node", {"filename": "analyse.R"})),
        "r",
        "runtime_image",
        "image with R",
    ),
    "bad env": (
        pipeline(script("a", env_vars=["NOVALUE"])),
        "a",
        "env_vars",
        "'NOVALUE' is not an environment variable",
    ),
    "bad cpu": (pipeline(script("a", cpu="some")), "a", "cpu", "not a number"),
    "negative memory": (pipeline(script("a", memory=-1)), "a", "resources", "more than nothing"),
    "cpu that is no number": (pipeline(script("a", cpu="nan")), "a", "resources", "finite number"),
    "endless cpu": (pipeline(script("a", cpu="inf")), "a", "resources", "finite number"),
    "endless memory": (
        pipeline(node("a", "execute-python-node", {"filename": "main.py"}, resources={"memory": "9" * 400})),
        "a",
        "app_data.atelier.resources.memory",
        "more memory than any machine",
    ),
    "endless delay": (
        pipeline(node("a", "execute-python-node", {"filename": "main.py"}, retry={"delay": "9999999d"})),
        "a",
        "app_data.atelier.retry.delay",
        "longer than ten years",
    ),
    "half a character": (pipeline(script("a", env_vars=["A={{ '\\ud800' }}"])), "a", "env", "U+D800"),
    "no character": (pipeline(script("a", env_vars=["A={{ '\\0' }}"])), "a", "env", "U+0000"),
    "a default that is no number": (
        pipeline(read(), parameters=[{"name": "a", "type": "number", "default": "NaN"}]),
        "",
        "parameters.a",
        "not finite",
    ),
    "bad line": (pipeline(read(), environment="JUSTAKEY"), "", "environment", "not of the form KEY=value"),
    "line below": (pipeline(read(), environment="A={{ B }}\nB=1"), "", "environment", "{{ B }} is not known"),
    "line of ours": (pipeline(read(), environment="creator=me"), "", "environment", "Atelier sets"),
    "nameless parameter": (pipeline(read(), parameters=[{"type": "string"}]), "", "parameters", "name"),
    "odd parameter": (pipeline(read(), parameters=[{"name": "a b"}]), "", "parameters", "cannot be the name"),
    "parameter twice": (pipeline(read(), parameters=[{"name": "a"}, {"name": "a"}]), "", "parameters", "there twice"),
    "bad limits": (pipeline(read(), parameters=[{"name": "a", "minimum": "x"}]), "", "parameters", "limits"),
    "bad default": (
        pipeline(read(), parameters=[{"name": "a", "type": "integer", "default": "x"}]),
        "",
        "parameters.a",
        "not right",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_told_with_what_to_do(case: str) -> None:
    raw, node_id, field, says = WRONG[case]
    found = problems(raw)
    right = [one for one in found if says in one.message and one.field == field and one.node == (node_id or one.node)]
    assert right, found
    assert right[0].hint
    with pytest.raises(InvalidPipeline) as raised:
        plan(raw)
    assert any(says in one.message for one in raised.value.problems)
    assert raised.value.hint


@pytest.mark.parametrize("case", [case for case in WRONG if case != "no such input"])
def test_one_mistake_is_told_once(case: str) -> None:
    assert len(problems(WRONG[case][0])) == 1


def test_all_mistakes_are_told() -> None:
    raw = pipeline(
        read(rows=0, mode="quick"), script("a", "gone", filename="../x"), node("n", "x", {}), environment="A"
    )
    assert {(one.node, one.field) for one in problems(raw)} == {
        ("read", "rows"), ("read", "mode"), ("a", "inputs"), ("a", "filename"), ("n", "op"), ("", "environment"),
    }  # fmt: skip


def test_two_circles_are_two_problems() -> None:
    raw = pipeline(script("a", "b"), script("b", "a"), script("c", "d"), script("d", "c"), script("e", "d"))
    assert sorted(one.message for one in problems(raw)) == [
        "The steps run in a circle: a → b → a.".replace("a → b → a", shown) for shown in ("a → b → a", "c → d → c")
    ]


def test_what_is_not_known_yet_is_no_mistake() -> None:
    parameters = [{"name": "file", "required": True}, {"name": "n", "type": "integer", "required": True}]
    raw = pipeline(read(file="{{ parameters.file }}.csv", rows="{{ parameters.n - 5 }}"), parameters=parameters)
    assert problems(raw) == []
    with pytest.raises(InvalidPipeline, match=r"no file 'gone\.csv'"):
        plan(raw, parameters={"file": "gone", "n": 9})
    with pytest.raises(InvalidPipeline, match="less than the minimum"):
        plan(raw, parameters={"file": "sub/data one", "n": 1})
    assert step(raw, "read", parameters={"file": "sub/data one", "n": "9"}).parameters["rows"] == 4


def test_what_a_run_is_given() -> None:
    raw = pipeline(
        read(rows={"widget": "parameter", "value": "n"}),
        parameters=[{"name": "n", "type": "integer", "required": True, "minimum": 2}, {"name": "other"}],
    )
    with pytest.raises(InvalidPipeline, match="needs a value for 'n'"):
        plan(raw)
    with pytest.raises(InvalidPipeline, match="minimum of 2"):
        plan(raw, parameters={"n": 1})
    with pytest.raises(InvalidPipeline, match="no run-time parameter 'm'"):
        plan(raw, parameters={"n": 3, "m": 1})
    made = plan(raw, parameters={"n": "3"})
    assert made.parameters == {"n": 3, "other": ""}
    assert made.steps[0].parameters["rows"] == 3


def test_parameters_that_elyra_wrote() -> None:
    given = [{"name": "n", "description": "", "default_value": {"type": "Integer", "value": 5}, "required": False}]
    raw = pipeline(read(rows="{{ parameters.n }}"), script("s", "read", pipeline_parameters=["n"]),
                   properties={"pipeline_parameters": given})  # fmt: skip
    made = plan(raw)
    assert made.steps[0].parameters["rows"] == 5
    assert made.steps[1].env["n"] == "5"


def test_the_same_arguments_give_the_same_plan() -> None:
    raw = pipeline(read(file="main.py"), train("t", "read"), script("s", "t"), environment="ID={{uuid.uuid4().hex}}")
    assert plan(raw) == plan(raw)
    assert Plan.model_validate_json(plan(raw).model_dump_json()) == plan(raw)
    assert plan(raw).steps[0].env["ID"] != plan(raw, run_id="run2").steps[0].env["ID"]


def test_a_template_step() -> None:
    raw = pipeline(read(names='["a"]', rows={"widget": "number", "value": 3}), train("t", "read"))
    first, second = plan(raw).steps
    assert first.parameters == {"file": "main.py", "rows": 3, "names": ["a"], "mode": "safe"}
    assert first.template == "read-data@1.0"
    assert first.resources == Resources(cpu=2, memory=2 * 1024**3)
    assert first.workdir == "code"
    assert first.code == (
        CodeRef(digest="sha256:code"),
        CodeRef(digest="sha256:template:read-data@1.0", path="template"),
    )
    assert second.inputs == {"data": InputPlan(source=OutputRef(step="read", output="data"))}
    assert second.needs == ("read",)
    assert second.outputs["model"].path == "outputs/model.bin"
    assert second.workdir == "template"
    assert second.code == (CodeRef(digest="sha256:template:train-model@1.0", path="template"),)


def test_a_template_is_found_by_its_op_alone_and_by_an_older_version() -> None:
    assert step(pipeline(node("n", READ_OP, {"file": "main.py"})), "n").template == "read-data@1.0"
    assert step(pipeline(node("n", READ_OP, {}, template="read-data", version="0.9")), "n").template == "read-data@0.9"


def test_a_value_of_an_earlier_step_is_a_reference() -> None:
    source = {"widget": "inputpath", "value": {"value": "read", "option": "output_count"}}
    made = step(pipeline(read(), train("t", "read", count=source)), "t")
    assert made.references == {"count": OutputRef(step="read", output="count")}
    assert "count" not in made.parameters
    script_node = node(
        "s", "execute-python-node", {"filename": "main.py"}, inputs={"rows": {"node": "read", "output": "count"}}
    )
    assert step(pipeline(read(), script_node), "s").references == {"rows": OutputRef(step="read", output="count")}


def test_what_elyra_adds_to_catalog_nodes_is_no_parameter() -> None:
    raw = pipeline(read(kubernetes_tolerations=[], mounted_volumes=[], component_source="x", env_vars=[]))
    assert problems(raw) == []


def test_generic_nodes() -> None:
    raw = pipeline(
        script("s", filename="main.py"), notebook("n", "s", runtime_image="atelier/ml:1", cpu=2, memory=3, gpu=1)
    )
    first, second = plan(raw).steps
    assert (first.kind, first.command, first.workdir, first.image) == ("python", ("python", "main.py"), "code", "ml")
    assert second.command == ("python", "${ATELIER_TEMPLATE}/notebook.py", "notebook.ipynb")
    assert second.workdir == "code/sub"
    assert second.resources == Resources(cpu=2, memory=3 * 10**9, accelerator="nvidia.com/gpu", accelerators=1)
    assert second.code[1] == CodeRef(digest="sha256:runner:notebook", path="template")
    assert second.outputs["notebook"].type == "notebook"
    raw = pipeline(node("r", "execute-r-node", {"filename": "analyse.R", "runtime_image": "rocker/r-ver:4"}))
    assert step(raw, "r").command == ("Rscript", "analyse.R")


def test_images_are_found_by_name_and_by_reference() -> None:
    images = {"ml": Image(name="ml", reference="registry.example/atelier/ml:1")}
    for given in ("ml", "atelier/ml:1", "registry.example/atelier/ml:1"):
        assert step(pipeline(script("s", runtime_image=given)), "s", images=images).image == "ml"
    assert step(pipeline(script("s", runtime_image="other/ml:1")), "s", images=images).image == "other/ml:1"


def test_files_go_to_every_later_generic_node_and_the_nearest_wins() -> None:
    raw = pipeline(
        script("a", outputs=["x.csv", "both.csv"]),
        notebook("b", "a", outputs=["both.csv", "out/y z.csv"]),
        script("c", "b"),
    )
    by_name = {one.name: one for one in plan(raw).steps}
    assert by_name["a"].outputs["x.csv"].path == "code/x.csv"
    assert by_name["b"].outputs["both.csv"].path == "code/sub/both.csv"
    assert by_name["b"].inputs["x.csv"] == InputPlan(source=OutputRef(step="a", output="x.csv"), path="code/sub/x.csv")
    placed = {one.path: one.source.step for one in by_name["c"].inputs.values()}
    assert placed == {"code/x.csv": "a", "code/both.csv": "b", "code/out/y z.csv": "b"}


def test_a_file_can_be_taken_by_name_and_may_have_a_type() -> None:
    giver = node(
        "a", "execute-python-node", {"filename": "main.py", "outputs": ["clean.csv"]}, outputs={"clean.csv": "dataset"}
    )
    assert step(pipeline(giver, train("t", "a", "clean.csv")), "t").inputs["data"].source.output == "clean.csv"


def test_environment() -> None:
    raw = pipeline(
        node("s", "execute-python-node",
             {"filename": "main.py", "env_vars": ["A=1", {"env_var": "B", "value": "{{DAY}}"}]},
             env={"A": "own"}, secrets={"TOKEN": "hub-token"}),
        environment="# a comment\nDAY={{datetime.datetime.now().strftime('%d')}}\n\nA=global",
        properties={"pipeline_defaults": {"env_vars": [{"env_var": "C", "value": "default"}], "runtime_image": "ml"}},
    )  # fmt: skip
    made = step(raw, "s")
    assert {name: made.env[name] for name in ("A", "B", "C", "DAY")} == {
        "A": "own",
        "B": "04",
        "C": "default",
        "DAY": "04",
    }
    assert made.secrets == {"TOKEN": "hub-token"}
    assert {name: text for name, text in made.env.items() if name.startswith("KFJ_")} == {
        "KFJ_PIPELINE_ID": "p7", "KFJ_PIPELINE_NAME": "test", "KFJ_RUN_ID": "run1", "KFJ_CREATOR": "ann",
        "KFJ_RUNNER": "bob", "KFJ_NAMESPACE": "", "KFJ_ENVIRONMENT": "laptop", "KFJ_TASK_ID": "s",
        "KFJ_TASK_NAME": "s", "KFJ_TASK_IMAGES": "ml", "KFJ_TASK_NODE_SELECTOR": "", "KFJ_TASK_VOLUME_MOUNT": "",
        "KFJ_TASK_RESOURCE_CPU": "0.5", "KFJ_TASK_RESOURCE_MEMORY": "1G", "KFJ_TASK_RESOURCE_GPU": "0",
        "KFJ_TASK_PROJECT_NAME": "vision",
    }  # fmt: skip


def test_what_a_node_may_change() -> None:
    raw = pipeline(
        node("s", "execute-python-node", {"filename": "main.py"}, name="My step", timeout="2m", grace=3, light=True,
             retry={"limit": 4, "causes": ["user", "timeout"]}, image="python", replicas=3, topology="gang",
             resources={"memory": "2Gi"}, parameters={"n": 3, "who": "{{creator}}"}),
        parallelism=2, timeout="1h",
    )  # fmt: skip
    made = plan(raw)
    one = made.steps[0]
    assert (made.parallelism, made.timeout) == (2, 3600)
    assert (one.name, one.label, one.timeout, one.grace, one.light) == ("my-step", "My step", 120, 3, True)
    assert (one.retry.limit, one.retry.causes) == (4, {Cause.USER, Cause.TIMEOUT})
    assert (one.image, one.replicas, one.topology) == ("python", 3, Topology.GANG)
    assert one.resources == Resources(cpu=0.5, memory=2 * 1024**3)
    assert one.parameters == {"n": 3, "who": "ann"}


def test_names_for_objects_are_short_plain_and_unique() -> None:
    long = "a very long name indeed, longer than a label"
    nodes = [node(str(n), "execute-python-node", {"filename": "main.py"}, name=name)
             for n, name in enumerate(["Über!", "uber", "ber", "7", "---", long, f"{long} too"])]  # fmt: skip
    names = [one.name for one in plan(pipeline(*nodes)).steps]
    assert names == [
        "ber",
        "uber",
        "ber-2",
        "step-7",
        "step",
        "a-very-long-name-indeed-longer",
        "a-very-long-name-indeed-long-2",
    ]
    assert all(len(name) <= 30 for name in names)


def test_files_may_be_a_function_or_unknown() -> None:
    raw = pipeline(script("s", filename="gone.py", dependencies=["*.none"]))
    assert [one.field for one in problems(raw, files=lambda path: False)] == ["filename"]
    assert problems(raw, files=None) == []
    assert problems(pipeline(read(file="sub"))) == []


def test_a_thousand_steps_compile_in_a_moment() -> None:
    import time

    nodes = [read("n0"), *(train(f"n{number}", "n0") for number in range(1, 1000))]
    raw = pipeline(*nodes)
    started = time.perf_counter()
    assert len(plan(raw).steps) == 1000
    assert time.perf_counter() - started < 20
