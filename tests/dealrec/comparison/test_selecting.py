"""The selections of a comparison say how far they are, and are kept."""

import numpy as np
import pytest

from dealrec.comparison.kept_selections import KeptSelections
from dealrec.comparison.runs import select_runs
from dealrec.config import ComparisonConfig
from dealrec.config.stages import StageName
from dealrec.errors import Cancelled
from dealrec.progress import SILENT, Silent
from dealrec.selection.select import select
from tests.dealrec.selection.inputs import QUICK, whole_scores

SCORES = whole_scores(40)


class Listening(Silent):
    """Keeps what it hears, and cancels after ``last``."""

    def __init__(self, last=None):
        self.heard, self._last = [], last

    def progress(self, done, total, unit):
        self.heard.append((done, total, unit))
        if self._last is not None and done >= self._last:
            raise Cancelled("It was cancelled.")


def asked(*selectors, **selection):
    body = {
        "budgets": [6],
        "selectors": list(selectors),
        "seeds": 2,
        "full_data_runs": 0,
        "config": {"selection": {**QUICK, **selection}, "effort": None},
    }
    return ComparisonConfig.parse(body, location="")


@pytest.fixture
def inputs(tmp_path):
    """The folders of stages whose files stand for the scores."""
    for name in (StageName.TITLES, StageName.INFLUENCE):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "scores.npy", np.arange(5))
    return {name: tmp_path / name for name in (StageName.TITLES, StageName.INFLUENCE)}


def selected(config, kept=None, reporter=SILENT):
    keys = SCORES.keys.to_pylist()
    return select_runs(
        keys, lambda _run: SCORES, config, budgets=(6,), kept=kept, reporter=reporter
    )


def kept_in(folder, config, inputs):
    return KeptSelections(folder, config, "hash", lambda _run: inputs)


def count_selections(monkeypatch):
    made = []

    def counted(scores, budget, config, reporter):
        made.append(config.method.value)
        return select(scores, budget, config, reporter)

    monkeypatch.setattr("dealrec.comparison.runs.select", counted)
    return made


def test_the_steps_of_a_selector_that_trains_are_counted_among_all():
    heard = Listening()
    selected(asked("metagradient"), reporter=heard)
    done = [one for one, _, _ in heard.heard]
    assert done == sorted(done) and len(set(done)) > 10
    assert {(total, unit) for _, total, unit in heard.heard} == {(2 * (4 + 8), "selection step")}
    plain = Listening()
    selected(asked("influence"), reporter=plain)
    assert {(total, unit) for _, total, unit in plain.heard} == {(2 * 5, "selection")}


def test_a_stopped_comparison_goes_on_after_the_selections_that_were_finished(
    tmp_path, inputs, monkeypatch
):
    config = asked("metagradient")
    with pytest.raises(Cancelled):
        selected(config, kept_in(tmp_path / "kept", config, inputs), Listening(last=15))
    made = count_selections(monkeypatch)
    again = selected(config, kept_in(tmp_path / "kept", config, inputs))
    assert made.count("metagradient") == 1
    whole = selected(config)
    assert [run.sha256 for run in again] == [run.sha256 for run in whole]
    assert all(run.seconds > 0 for run in again)


def test_what_a_selection_depends_on_makes_it_anew(tmp_path, inputs, monkeypatch):
    config, folder = asked("influence"), tmp_path / "kept"
    selected(config, kept_in(folder, config, inputs))
    made = count_selections(monkeypatch)
    more = config.model_copy(update={"seeds": 3})
    selected(more, kept_in(folder, more, inputs))
    assert len(made) == 5  # those of the third run
    other = asked("influence", per_target=2)
    selected(other, kept_in(folder, other, inputs))
    assert len(made) == 5 + 10
    np.save(inputs[StageName.INFLUENCE] / "scores.npy", np.arange(6))
    made.clear()
    selected(config, kept_in(folder, config, inputs))
    assert made == ["influence"] * 2
