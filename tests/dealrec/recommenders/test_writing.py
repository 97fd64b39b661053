"""Titles that a language model writes."""

import pytest
import torch

from dealrec.recommenders import writing
from dealrec.recommenders.writing import write_titles
from tests.dealrec.language_models.tiny import tiny_loaded, tiny_prompts


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
    assert writing._is_whole(text) is whole
    changed = {writing._title(text + more) for more in ("x", '"', "\n", 'x" y\n"z"')}
    assert (changed == {writing._title(text)}) is whole


def test_stopping_at_the_whole_title_leaves_greedy_titles_as_they_are(monkeypatch):
    loaded = tiny_loaded()
    with torch.no_grad():  # a model that likes quotes and ends of lines
        loaded.model.lm_head.weight[loaded.tokenizer('"\n').input_ids] *= 3
    prompts = tiny_prompts(loaded, 60)
    judged = []
    is_whole = writing._is_whole

    def judge(text):
        judged.append(is_whole(text))
        return judged[-1]

    monkeypatch.setattr(writing, "_is_whole", judge)
    stopped = write_titles(loaded, prompts, beams=1, max_title_tokens=48)
    assert judged.count(True) > 5
    assert len(set(stopped)) > 5
    monkeypatch.setattr(writing, "_is_whole", lambda text: False)
    assert write_titles(loaded, prompts, beams=1, max_title_tokens=48) == stopped
