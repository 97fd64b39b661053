"""Titles that a language model writes."""

from dataclasses import replace

import pytest
import torch

from dealrec.config.prompt import PromptFormat
from dealrec.language_models.tokens import Encoder
from dealrec.recommenders.writing import TITLE, AnswerForm, as_written, write_titles
from tests.dealrec.language_models.test_wording import chat_tokenizer
from tests.dealrec.language_models.tiny import tiny_loaded, tiny_prompts, tiny_samples


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ('"Doom"', True),
        (' "Doom" and', True),
        ("Doom\n", True),
        ('""', True),
        ('"Doom', False),
        ("Doom", False),
        ('Doom "2"', False),
        ("\n", False),
        ("", False),
    ],
)
def test_a_title_is_whole_when_more_text_cannot_change_it(text, whole):
    assert TITLE.is_whole(text) is whole
    changed = {TITLE.answer(text + more) for more in ("x", '"', "\n", 'x" y\n"z"')}
    assert (changed == {TITLE.answer(text)}) is whole


def test_stopping_at_the_whole_title_leaves_greedy_titles_as_they_are(monkeypatch):
    loaded = tiny_loaded()
    with torch.no_grad():  # a model that likes quotes and ends of lines
        loaded.model.lm_head.weight[loaded.tokenizer('"\n').input_ids] *= 3
    prompts = tiny_prompts(loaded, 60)
    judged = []

    def judge(form, text):
        judged.append(is_whole(form, text))
        return judged[-1]

    is_whole = AnswerForm.is_whole
    monkeypatch.setattr(AnswerForm, "is_whole", judge)
    stopped = write_titles(loaded, prompts, beams=1, max_title_tokens=48)
    assert judged.count(True) > 5
    assert len(set(stopped)) > 5
    monkeypatch.setattr(AnswerForm, "is_whole", lambda form, text: False)
    assert write_titles(loaded, prompts, beams=1, max_title_tokens=48) == stopped


@pytest.mark.parametrize("family", ["qwen2_5", "qwen3", "llama3", "gemma", "phi3"])
@pytest.mark.parametrize(
    "outputs",
    [['"Doom"', '"Doom 2"'], ["Doom by id", 'The "one"'], ["Doom:\na game", "Dune:\na book"]],
    ids=["quoted", "a line", "lines"],
)
def test_every_answer_written_to_the_letter_in_a_chat_is_told_from_the_rest(family, outputs):
    loaded = replace(tiny_loaded(), tokenizer=chat_tokenizer(family))
    sample = replace(tiny_samples(1)[0], format=PromptFormat.CHAT)
    endings = Encoder(loaded.tokenizer, 4096).endings(sample, outputs)
    form = AnswerForm.of(loaded.tokenizer, outputs, endings)
    plain = [output[1:-1] if form.quoted else output for output in outputs]
    assert form.quoted is (outputs[0] == '"Doom"')
    assert as_written(loaded, endings, 64, form) == plain
    assert as_written(loaded, endings, 3, form) == [
        text[: 2 if form.quoted else 3].strip() for text in plain
    ]
