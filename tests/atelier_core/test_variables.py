"""Variables: what they offer, and that nothing else can be reached."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier_core.variables import MAX_TEXT, VariableError, Variables
from tests.atelier_core.documents import NOW


def make(**parameters: object) -> Variables:
    return Variables({"creator": "ann", "execution_date": "2026-03-03 05:06:07"}, parameters, NOW, "run1")


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{{creator}}", "ann"),
        ("/mnt/{{ creator }}/x", "/mnt/ann/x"),
        ("{{execution_date}}", "2026-03-03 05:06:07"),
        ("{{datetime.datetime.now().strftime('%Y-%m-%d')}}", "2026-03-04"),
        ("{{ (datetime.datetime.now() - datetime.timedelta(days=4)).strftime('%Y%m%d') }}", "20260228"),
        ("{{ datetime.date.today() }}", "2026-03-04"),
        ("{{ datetime.datetime.strptime(execution_date, '%Y-%m-%d %H:%M:%S').day }}", "3"),
        ("{{ parameters.rows + 1 }}", "4"),
        ("{{ parameters.names | join('-') }}", "a-b"),
        ("{{ parameters.names }}", '["a", "b"]'),
        ("{% if parameters.rows > 2 %}many{% else %}few{% endif %}", "many"),
        ("{{ creator | upper }} {{ creator.title() }}", "ANN Ann"),
        ("{% raw %}{{ kept }}{% endraw %}", "{{ kept }}"),
        ("no variables, {single} braces", "no variables, {single} braces"),
    ],
)
def test_fills_in(text: str, filled: str) -> None:
    assert make(rows=3, names=["a", "b"]).render(text) == filled


def test_ids_differ_from_place_to_place_and_not_between_compilations() -> None:
    first, again = make(), make()
    texts = ["{{uuid.uuid4().hex}}", "{{ uuid.uuid4() }}"]
    ids = [first.render(text) for text in texts]
    assert ids == [again.render(text) for text in texts]
    assert len({*ids, first.render(texts[0])}) == 3
    assert len(ids[0]) == 32


def test_a_value_that_is_one_parameter_keeps_its_type() -> None:
    filled = make(rows=3, names=["a"]).render_value(
        {"n": "{{ parameters.rows }}", "l": ["{{parameters.names}}"], "x": 1}
    )
    assert filled == {"n": 3, "l": [["a"]], "x": 1}


def test_a_parameter_that_is_called_like_a_method_is_the_parameter() -> None:
    assert make(keys="k").render("{{ parameters.keys }}") == "k"


def test_environment_lines_use_the_lines_above() -> None:
    variables = make()
    variables.define("DAY", "{{datetime.datetime.now().strftime('%d')}}")
    assert variables.define("FOLDER", "/data/{{DAY}}") == "/data/04"
    assert variables.render("{{FOLDER}}/x") == "/data/04/x"


@pytest.mark.parametrize("name", ["creator", "datetime", "parameters", "1x", "a-b", ""])
def test_names_that_cannot_be_defined(name: str) -> None:
    with pytest.raises(VariableError):
        make().define(name, "x")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{{ cretor }}", "not known here"),
        ("{{ parameters.nope }}", "no run-time parameter 'nope'"),
        ("{{ parameters['nope'] }}", "no run-time parameter 'nope'"),
        ("{{ creator", "not a valid expression"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ creator.upper }}", "pair of brackets"),
    ],
)
def test_mistakes_are_named(text: str, says: str) -> None:
    with pytest.raises(VariableError, match=says):
        make().render(text)


ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__'] }}",
    "{{ ''|attr('__class__') }}",
    "{{ creator.format }}",
    "{{ '{0.__class__}'.format(creator) }}",
    "{{ creator.format_map(parameters) }}",
    "{{ datetime.datetime.now.__globals__ }}",
    "{{ datetime.sys }}",
    "{{ datetime.datetime._now }}",
    "{{ uuid._seed }}",
    "{{ uuid.os.system('true') }}",
    "{{ parameters.__init__ }}",
    "{{ parameters.pop('rows') }}",
    "{{ parameters.clear() }}",
    "{{ self.__init__ }}",
    "{{ self }}",
    "{{ cycler.__init__.__globals__.os }}",
    "{{ lipsum.__globals__ }}",
    "{{ namespace() }}",
    "{{ joiner() }}",
    "{{ [creator] | map(attribute='__class__') | list }}",
    "{{ [creator] | sort(attribute='__class__') }}",
    "{{ [creator] | sum(attribute='__class__') }}",
    "{% import 'x' as y %}",
    "{% include '/etc/passwd' %}",
    "{% set x = creator %}{{ x }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% filter upper %}x{% endfilter %}",
    "{{ creator.encode() }}",
    "{{ (1).to_bytes(9) }}",
]


@pytest.mark.parametrize("text", ESCAPES)
def test_nothing_else_can_be_reached(text: str) -> None:
    with pytest.raises(VariableError):
        make(rows=3).render(text)


BOMBS = [
    "{% for i in range(10**9) %}x{% endfor %}",
    "{{ range(99999999) }}",
    "{{ 'a' * 1000000000 }}",
    "{{ 1000000000 * 'a' }}",
    "{{ [0] * 1000000000 }}",
    "{{ 9 ** 9 ** 9 }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ 'a'.ljust(1000000000) }}",
    "{{ 'a'.zfill(1000000000) }}",
    "{{ 'a' | center(1000000000) }}",
    "{{ 'a' | indent(1000000000) }}",
    "{{ 'aaaaaaaaaa'" + " | replace('a', 'aaaaaaaaaa')" * 12 + " }}",
    "{{ 1.5 | round(1000000000, 'ceil') }}",
    "{{ [1] | tojson(indent=1000000000) }}",
    "{{ datetime.timedelta(days=1) * 1000000000000 }}",
    "{{ " + "(" * 4000 + "1" + ")" * 4000 + " }}",
    "{{ " + "-" * 8000 + "1 }}",
    "{{ 1" + "0" * 5000 + " }}",
    "x" * 20_000 + "{{ creator }}",
]


@pytest.mark.parametrize("text", BOMBS, ids=range(len(BOMBS)))
def test_nothing_runs_long_or_grows(text: str) -> None:
    started = time.perf_counter()
    with pytest.raises(VariableError):
        make().render(text)
    assert time.perf_counter() - started < 5


def test_lines_that_double_each_other_end_at_the_limit() -> None:
    variables = make()
    variables.define("A0", "x" * 100)
    doublings = 0
    while doublings < 40:
        try:
            variables.define(f"A{doublings + 1}", f"{{{{A{doublings}}}}}{{{{A{doublings}}}}}")
        except VariableError:
            break
        doublings += 1
    assert 100 * 2**doublings <= MAX_TEXT < 100 * 2 ** (doublings + 1)


@given(st.text(alphabet="{}%#|.()[]'\"_abc109+*~ ,:", max_size=60))
def test_any_text_is_filled_in_or_refused_with_a_sentence(text: str) -> None:
    try:
        shown = make().render(text)
    except VariableError as error:
        shown = ""
        message = str(error)
        assert message.endswith("."), message
    assert len(shown) <= MAX_TEXT


@pytest.mark.parametrize("text", [" * ".join(["10000000000"] * 60), "('9' ~ '" + "9" * 200 + "')|int"])
def test_numbers_stay_small(text: str):
    with pytest.raises(VariableError):
        Variables({}, {}, NOW, "seed").render("{{ " + text + " }}")
