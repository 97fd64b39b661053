"""Options that several commands share."""

import inspect
import json
from pathlib import Path

import pytest

from dealrec.cli import prune_command
from dealrec.config import ComparisonConfig, DataOptions, PruneConfig
from dealrec.config.comparison import CONTROLS
from dealrec.config.continuation import Carry, Continuation
from dealrec.errors import InputError
from dealrec.options import Asked, asked_for, compared_by, continued_by, reads_data
from dealrec.terminal import resumable_display


def test_options_of_the_data_come_from_flags_assignments_and_the_configuration_file(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"min_history": 2, "data": {"split": "column"}}))
    asked = asked_for(config=path, set_=["selection.seed=3"], column=["user_id=who", "title=name"])
    assert asked.config == {"min_history": 2, "selection": {"seed": 3}}
    assert asked.data == DataOptions(split="column", columns={"user_id": "who", "title": "name"})
    assert asked_for(set_=["data.split=column"]) == Asked({}, DataOptions(split="column"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"set_": ["data.colour=red"]}, "`data.colour` is not an option"),
        ({"set_": ["data.split=column"], "split": "column"}, "by itself and in `data`"),
        ({"set_": ["data=3"]}, "must be an object"),
        ({"column": ["who=user"]}, "`data.columns.who` must be one of"),
    ],
)
def test_what_is_no_option_of_the_data_is_refused_by_name(given, message):
    with pytest.raises(InputError, match=message):
        asked_for(**given)


def test_a_command_takes_them_as_one_record_and_offers_them_one_by_one():
    @reads_data
    def command(file: Path, asked: Asked, json: bool = False) -> None:
        got.append((file, asked.data.split, json))

    got: list[object] = []
    nothing = dict.fromkeys(inspect.signature(asked_for).parameters)
    command(file=Path("a"), json=True, **nothing | {"split": "column"})
    assert got == [(Path("a"), "column", True)]
    offered = inspect.signature(prune_command).parameters
    assert {"config", "set_", "column", "split"} < set(offered)
    assert "asked" not in offered


def test_an_interruption_says_that_what_is_finished_is_kept(capsys):
    with pytest.raises(KeyboardInterrupt), resumable_display(quiet=True):
        raise KeyboardInterrupt
    assert "run the same command again" in capsys.readouterr().err


def test_a_comparison_asks_by_default_for_the_selector_that_jobs_have_by_default():
    asked = compared_by(budget="16")
    default = ComparisonConfig.parse({name: asked[name] for name in ("budgets", "selectors")})
    without_training, trained_like_the_runs = (
        PruneConfig.parse({"finetune": finetune}).with_default_selector(can_aim=True)
        for finetune in (None, default.config.finetune)
    )
    methods = [one.method for one in default.selectors if one.method not in CONTROLS]
    assert methods == [without_training.selection.method, trained_like_the_runs.selection.method]


def test_how_a_command_goes_on_from_an_earlier_result() -> None:
    going_on = continued_by(
        Path("may"), Carry.REPLACE, 0.3, 2, 0.75, carry_adapter=True, replay=0.5
    )
    assert going_on.folder == Path("may")
    wanted = {"coreset": "replace", "replaced_share": 0.3, "surrogate_epochs": 2, "adapter": True}
    wanted |= {"surrogate_replay": 0.75, "replay": 0.5}
    assert going_on.options.model_dump(mode="json") == wanted
    assert continued_by().options == Continuation()
    with pytest.raises(InputError, match="--continue-from"):
        continued_by(carry=Carry.TOP_UP)
    with pytest.raises(InputError, match="`replay` needs `adapter`"):
        continued_by(Path("may"), replay=0.5)
