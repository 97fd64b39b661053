import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dealrec.config import PromptConfig
from dealrec.config.prompt import WORDINGS
from dealrec.data.dataset import Dataset
from dealrec.data.prompt_views import cut_at_word
from dealrec.data.prompter import Prompter, shown_titles
from dealrec.data.prompts import PromptedSample
from dealrec.data.samples import build_samples
from dealrec.errors import InputError
from tests.dealrec.data.files import ingest_bytes


def prompter(tmp_path, **options):
    rows = "".join(f"u,{i},{i}\nv,{9 - i},{i}\n" for i in range(8))
    titles = "".join(f'{i},"The ""Great"" Title {i}"\n' for i in range(10))
    dataset = ingest_bytes(
        tmp_path, f"user_id,item_id,position\n{rows}".encode(), f"item_id,title\n{titles}".encode()
    ).dataset
    return Prompter(dataset, build_samples(dataset), PromptConfig(**options))


def test_a_prompt_quotes_the_latest_history_in_order_and_answers_with_the_target(tmp_path):
    sample = prompter(tmp_path, history_items=2).prompt(0)
    assert sample.input == "\"The 'Great' Title 3\", \"The 'Great' Title 4\""
    assert sample.output == "\"The 'Great' Title 5\""


def test_the_instruction_names_the_noun_and_is_the_same_for_all(tmp_path):
    prompts = prompter(tmp_path, item_noun="book")
    assert "book" in prompts.prompt(0).instruction
    assert prompts.prompt(0).instruction == prompts.prompt(1).instruction
    assert prompts.prompt(0).input != prompts.prompt(1).input


def test_long_titles_are_cut_at_a_word(tmp_path):
    assert prompter(tmp_path, title_characters=13).prompt(0).output == "\"The 'Great'\""


@given(st.text("ab ", max_size=40), st.integers(1, 40))
def test_a_cut_is_a_beginning_within_the_limit(text, limit):
    cut = cut_at_word(text, limit)
    assert text.startswith(cut)
    assert len(cut) <= limit
    if len(text) <= limit:
        assert cut == text


def test_rendered_text_begins_with_the_instruction_and_ends_with_the_output():
    sample = PromptedSample.plain("Do it.", '"A", "B"', '"C"')
    assert sample.prompt + sample.completion == 'Do it.\n"A", "B"\nNext: "C"'


ROWS = "user_id,item_id,timestamp,rating\n" + "".join(
    f"{user},{item if user == 'u' else 9 - item},{1_700_000_000 + 3 * 86_400 * item},{item / 2}\n"
    for user in "uv"
    for item in range(8)
)
ITEMS = "item_id,title,brand\n" + "".join(
    f'{n},"The ""{n}""",{"" if n == 3 else f"b{n}"}\n' for n in range(10)
)


@pytest.fixture(scope="module")
def rated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rated")
    made = ingest_bytes(folder, ROWS.encode(), ITEMS.encode(), split="leave_one_out", ratings=True)
    assert made.report["ratings"]
    assert made.report["texts"] == ["brand"]
    return Dataset.load(folder / "out")


def prompted(dataset, index=0, **options):
    return Prompter(dataset, build_samples(dataset), PromptConfig.parse(options)).prompt(index)


def test_the_named_prompt_plain_is_what_its_template_says(rated):
    for options in ({}, {"item_noun": "book", "history_items": 2, "title_characters": 8}):
        written = prompted(rated, **options, template=WORDINGS["plain"].template)
        assert written == prompted(rated, **options)
        own = PromptConfig(answer="{{ target.title|quoted }}", **options)
        found, plain = (shown_titles(rated, one) for one in (own, PromptConfig(**options)))
        assert found.texts == plain.texts
        assert found.of_item.tolist() == plain.of_item.tolist()


def test_a_template_sees_texts_ratings_and_times(rated):
    fields = ("title", "rating", "time", "days", "ago", "later")
    row = ", ".join(f"{{{{ i.{name} }}}}" for name in fields) + " by {{ i.brand }}"
    found = prompted(
        rated,
        history_items=3,
        template=f"{{{{ user }}}}\n{{% for i in history %}}{row}\n{{% endfor %}}Now, {{{{ target.later }}}}:",
        answer="{{ target.title }} by {{ target.brand }} ({{ target.id }})",
    )
    assert found.before == "u\n"
    assert found.history == (
        'The "2", 1, 2023-11-20, 9, 9 days ago,  by b2\n'
        'The "3", 1.5, 2023-11-23, 6, 6 days ago, 3 days later by \n'
        'The "4", 2, 2023-11-26, 3, 3 days ago, 3 days later by b4\n'
    )
    assert (found.after, found.completion) == ("Now, 3 days later:", ' The "5" by b5 (5)')


def test_the_space_before_an_answer_is_the_templates_own(rated):
    gaps = {
        "{{ history[0] }}\nNext:": " ",
        "{{ history[0] }}\nNext: ": " ",
        "{{ history[0] }}\nNext:\n": "",
    }
    for template, gap in gaps.items():
        found = prompted(rated, template=template)
        assert found.gap == gap
        assert not found.prompt.endswith(" ")
    assert prompted(rated, template="{{ history[0] }}", answer="\t{{ target.id }}").gap == "\t"


def test_formats_with_an_instruction_get_the_parts_of_a_named_prompt(rated):
    bigrec = prompted(rated, template="bigrec", history_items=2)
    assert bigrec.instruction.startswith("Given 2 items that the user chose recently, please")
    assert (
        bigrec.input == "The user has chosen the following items before: \"The '3'\", \"The '4'\""
    )
    chat = prompted(rated, template="chat", history_items=2)
    assert [turn.role for turn in chat.messages] == ["system", "user", "assistant"]
    assert chat.input == '1. The "3"\n2. The "4"\nWhich item do I choose next?'
    assert chat.output == "\"The '5'\""


def test_answers_of_a_catalogue_need_no_user(rated):
    answers = shown_titles(rated, PromptConfig(answer="{{ target.brand|default('none', true) }}"))
    assert answers.texts == [*(f"b{n}" for n in range(10) if n != 3), "none"]
    with pytest.raises(InputError, match="an empty answer") as refused:
        shown_titles(rated, PromptConfig(answer="{{ target.brand }}"))
    assert refused.value.code == "prompt_not_possible"


def test_what_the_data_set_does_not_have_is_said(tmp_path):
    plain = ingest_bytes(tmp_path, ROWS.encode(), ITEMS.encode(), split="leave_one_out").dataset
    for field, reason in (("rating", r"data\.ratings"), ("year", "it has title, id, brand")):
        with pytest.raises(InputError, match=reason) as refused:
            prompted(plain, template=f"{{{{ history[0].{field} }}}}")
        assert refused.value.code == "prompt_not_possible"


def test_kept_ratings_are_a_part_of_the_hash_and_gaps_are_no_fault(tmp_path):
    rows = ROWS.replace(",0.5\n", ",\n")
    for name in "ab":
        (tmp_path / name).mkdir()
    plain = ingest_bytes(tmp_path / "a", rows.encode(), split="leave_one_out").dataset
    kept = ingest_bytes(tmp_path / "b", rows.encode(), split="leave_one_out", ratings=True).dataset
    assert plain.ratings is None
    assert plain.sha256 != kept.sha256
    assert kept.ratings is not None
    assert np.isnan(kept.ratings).sum() == 2
    samples = build_samples(kept)
    assert samples.ratings is not None
    assert samples.ratings[samples.target].tolist() == [2.5, 2.5]
