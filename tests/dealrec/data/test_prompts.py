from hypothesis import given
from hypothesis import strategies as st

from dealrec.config import PromptConfig
from dealrec.data.prompter import Prompter, cut_at_word
from dealrec.data.prompts import PromptedSample
from dealrec.data.samples import build_samples
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
