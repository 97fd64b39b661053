import hashlib
import json

import pytest

from dealrec.config import PromptConfig, PruneConfig
from dealrec.config.prompt import WORDINGS
from dealrec.config.stages import STAGES, StageName, plan_prune
from dealrec.config.stages.base import JobOptions
from dealrec.errors import InputError
from tests.dealrec.config.stages.test_plan import DATA

HISTORY = "{% for i in history %}{{ i.title }} {% endfor %}"


def test_the_defaults_of_later_options_are_in_no_key():
    plain = {"item_noun": "item", "history_items": 10, "title_characters": 120}
    assert PromptConfig().model_dump(mode="json") == plain
    options = STAGES[StageName.EFFORT].key_options(JobOptions(PruneConfig.parse({"effort": {}})))
    assert options["prompt"] == plain
    own = {"template": "chat", "answer": "{{ target.id }}", "format": "chat", "system": "Hi."}
    assert PromptConfig.parse(own).model_dump(mode="json") == plain | own


def test_each_format_has_keys_of_its_own():
    for name in (StageName.EFFORT, StageName.GRADIENTS, StageName.IFD, StageName.SELECT):
        keys = {
            json.dumps(
                STAGES[name].key_options(
                    JobOptions(
                        PruneConfig.parse(
                            {"effort": {}, "gradients": {}, "ifd": {}, "prompt": prompt}
                        )
                    )
                ),
                sort_keys=True,
            )
            for prompt in ({}, {"format": "auto"}, {"format": "plain"}, {"format": "chat"})
        }
        assert len(keys) == 3


def test_the_words_of_named_prompts_are_as_their_stages_know_them():
    """Where they change, the versions of the stages that read texts change, too."""
    words = json.dumps({name: vars(one) for name, one in WORDINGS.items()}, sort_keys=True)
    assert hashlib.sha256(words.encode()).hexdigest()[:16] == "3643366fee7f08db"


@pytest.mark.parametrize(
    ("part", "source", "reason"),
    [
        ("template", "bigrek", "is neither the name of a prompt"),
        ("template", "Name it.", "nor a template that uses `history`"),
        ("answer", "{{ history[0].title }}", "must be the same for every user"),
        ("answer", "{{ user.id }}{{ target.title }}", "must be the same for every user"),
        ("answer", "{{ target.rating }}", "must be the same for every user"),
        ("answer", "It.", "all items would have the same answer"),
        ("answer", "{{ target.title|replace('w', ' ')|trim if false }}", "an empty answer"),
        ("answer", "{{ target.title }}" * 90, "an answer of more than 4,000 characters"),
        ("system", "{{ history|length }}", "not a name here"),
        ("system", "{{ user.age }}", "it has id"),
    ],
)
def test_what_is_wrong_with_a_template_is_said_where_it_stands(part, source, reason):
    with pytest.raises(InputError, match=reason) as refused:
        PruneConfig.parse({"prompt": {part: source}})
    assert refused.value.code == "invalid_config"
    assert refused.value.errors[0].location == f"config.prompt.{part}"


@pytest.mark.parametrize(
    ("prompt", "code", "reason"),
    [
        ({"template": "{{ history[0].ago }}"}, "no_timestamps", "needs timestamps"),
        ({"template": "{{ history[0].rating }}"}, "prompt_not_possible", r"data\.ratings"),
        (
            {"template": "{{ history[0].brnad }}"},
            "prompt_not_possible",
            "they have title, id, brand",
        ),
        (
            {"answer": "{{ target.year }}"},
            "prompt_not_possible",
            r"`prompt\.answer` asks for `year`",
        ),
    ],
)
def test_a_plan_knows_what_a_template_asks_of_the_data(prompt, code, reason):
    from dataclasses import replace

    config = PruneConfig.parse({"prompt": prompt})
    with pytest.raises(InputError, match=reason) as refused:
        plan_prune(config, 2, replace(DATA, texts=("brand",)))
    assert refused.value.code == code
    rich = replace(DATA, texts=("brnad", "year"), has_times=True, has_ratings=True)
    assert plan_prune(config, 2, rich).stages
