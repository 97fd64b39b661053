"""What a language model cannot read is said before anything is trained."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from dealrec.errors import InputError
from dealrec.progress import SILENT, Reporter
from tests.dealrec.language_models.tiny import byte_tokenizer
from tests.dealrec.stages.runs import options, prune


def with_template(model: str, folder: Path, template: str) -> str:
    """A copy of a model with a chat template."""
    shutil.copytree(model, folder)
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return str(folder)


REFUSALS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "answer": ({"max_tokens": 16}, {}, "max_tokens_too_small"),
    "words": ({"max_tokens": 40}, {"format": "chat"}, "max_tokens_too_small"),
    "turns": ({}, {"format": "chat", "system": "Be brief."}, "chat_template_not_usable"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_answers_and_chat_templates_are_tried_before_the_surrogate_is_trained(
    data: Path, model: str, tmp_path: Path, name: str
) -> None:
    tokens, prompt, code = REFUSALS[name]
    template = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system turn') }}{% endif %}"
        "{% for turn in messages %}<{{ turn.role }}>{{ turn.content }}{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    chat = with_template(model, tmp_path / "chat", template)
    config = {**options(None), "effort": {"model": chat, **tokens}, "prompt": prompt}
    begun: list[str] = []

    def watch(stage: str) -> Reporter:
        begun.append(stage)
        return SILENT

    with pytest.raises(InputError) as refused:
        prune(data, tmp_path / "out", config, stages=watch)
    assert refused.value.code == code
    assert begun == ["ingest", "surrogate"]


def test_a_model_without_a_chat_template_is_refused_before_the_data_are_read(
    data: Path, model: str, tmp_path: Path
) -> None:
    config = {**options(None), "effort": {"model": model}, "prompt": {"format": "chat"}}
    with pytest.raises(InputError) as refused:
        prune(data, tmp_path / "out", config, stages=lambda _: pytest.fail("began"))
    assert refused.value.code == "no_chat_template"
