import pytest

from dealrec.templating.problems import TemplateProblem
from dealrec.templating.template import PromptTemplate, Rendered
from dealrec.templating.views import FixedFields

NAMES = ("history", "noun")
FILMS = [
    FixedFields("film", {"title": f"Film {n}", "year": 1990 + n, "stars": n}, words=f"Film {n}")
    for n in range(4)
]
VARIABLES = {"history": FILMS, "noun": "film"}


def rendered(source):
    return PromptTemplate(source, NAMES, marked="history").parts(VARIABLES)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ history|map(attribute='title')|join('; ') }}", "Film 0; Film 1; Film 2; Film 3"),
        ("{{ history[1:3]|join(', ') }}", "Film 1, Film 2"),
        (
            "{{ history|selectattr('stars', 'odd')|last }} {{ history|reverse|first }}",
            "Film 3 Film 3",
        ),
        ("{{ 'found' if 2 in history|map(attribute='stars') }}", "found"),
        ("{{ history[-1].title|upper }} of {{ history[-1]['year'] }}", "FILM 3 of 1993"),
        ("{{ history|selectattr('stars', 'ge', 2)|map(attribute='stars')|sum }}", "5"),
        ("{{ history|sum(attribute='year') / history|length }}", "1991.5"),
        ("{{ history|sort(attribute='stars', reverse=true)|first }}", "Film 3"),
        (
            "{% for f in history if f.stars is odd %}{{ loop.index }}{{ f }}{% endfor %}",
            "1Film 12Film 3",
        ),
        ("{{ 'one' if history|length == 1 else 'many' }} {{ noun ~ 's' }}", "many films"),
        ("{{ history|map(attribute='title')|tojson }}", '["Film 0", "Film 1", "Film 2", "Film 3"]'),
        ("{% set n = noun|title %}{% if n in ['Film'] %}{{ n|quoted }}{% endif %}", '"Film"'),
        ("{% for n in range(3) %}{{ n * 2 }}{% endfor %}", "024"),
        ("{% raw %}{{ as it is }}{% endraw %}", "{{ as it is }}"),
    ],
)
def test_what_people_write_works(source, text):
    assert "".join(rendered(source)) == text


def test_the_words_of_the_history_are_told_from_the_others():
    listed = "{% for f in history %}- {{ f.title }}\n{% endfor %}"
    films = "- Film 0\n- Film 1\n- Film 2\n- Film 3\n"
    assert rendered(f"{{{{ history|length }}}} {{{{ noun }}}}s:\n{listed}Next?") == Rendered(
        "4 films:\n", films, "Next?"
    )
    named = "{% set all = history|join(' ') %}After {{ all }} comes:"
    assert rendered(named) == Rendered("After ", "Film 0 Film 1 Film 2 Film 3", " comes:")
    assert rendered("no history").marked == ""


def test_fields_that_a_template_names_are_known_before_it_runs():
    source = "{{ history[0].a }}{{ history[0]['b'] }}{{ history|map(attribute='c')|join }}"
    assert PromptTemplate(source, NAMES).fields == {"a", "b", "c"}


def test_a_missing_field_is_named_with_those_that_there_are():
    with pytest.raises(
        TemplateProblem, match=r"`yaer`, which film does not have; it has title, year"
    ):
        rendered("{{ history[0].yaer }}")


def test_marks_in_texts_do_not_move_the_history():
    assert rendered("a\ue001{{ history[0] }}b") == Rendered("a", "Film 0", "b")
