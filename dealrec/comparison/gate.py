"""Checks before the selectors whether there is anything to learn, and reports if there is not."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dealrec.comparison.headroom import headroom
from dealrec.comparison.kept import KeptRuns
from dealrec.comparison.known import read_known, write_known
from dealrec.comparison.preparing import Place, prepared
from dealrec.comparison.results import ComparisonReport, Headroom
from dealrec.comparison.running import choice, written
from dealrec.comparison.runs import all_data_run
from dealrec.comparison.summary import FinishedComparison
from dealrec.config.comparison import ComparisonConfig
from dealrec.data.dataset import Dataset
from dealrec.data.samples import Samples
from dealrec.recommenders.held_out import held_out_users


def measure_headroom(
    dataset: Dataset, samples: Samples, config: ComparisonConfig, place: Place
) -> Headroom:
    """Measure the model before and after training on all samples, and keep both for the comparison.

    ``place.out`` gets every training, the facts of the model and, if the language model is frozen and
    ``place.work`` keeps nothing, the vectors of all texts.

    Raises:
        InputError: As :func:`compare`.
        Cancelled: When ``place.reporter`` says so.
        OSError: The disk has no room.
    """
    assert config.config.finetune is not None
    if place.work is None and config.config.finetune.lora.last_layers == 0:
        place = replace(place, work=place.out)
    keys = samples.keys(dataset).to_pylist()
    selected = [all_data_run(keys, config, number) for number in range(config.full_data_runs)]
    with prepared(dataset, samples, config, place) as ready:
        training = ready.training(selected)
        runs = training.make(selected)
        training.end()
        kept = KeptRuns(place.out, config, dataset.sha256, ready.model.revision)
        kept.write_untrained(training.untrained)
        for run in runs:
            kept.write(run)
        write_known(place.out, ready.known)
    found = headroom(training.untrained, runs, None)
    assert found is not None
    return found


def stopped_report(
    dataset: Dataset,
    samples: Samples,
    config: ComparisonConfig,
    place: Place,
    *,
    budgets: Sequence[int],
    curve: Sequence[int] = (),
    surrogate: Path | None = None,
) -> ComparisonReport:
    """Report that the trainings in ``place.headroom`` show nothing to learn. No model is loaded."""
    assert place.headroom is not None
    evaluation = config.config.evaluation
    assert evaluation is not None
    known = read_known(place.headroom)
    kept = KeptRuns(place.headroom, config, dataset.sha256, known.model.revision)
    keys = samples.keys(dataset).to_pylist()
    selected = [all_data_run(keys, config, number) for number in range(config.full_data_runs)]
    untrained, runs = kept.read_untrained(), [kept.read(run) for run in selected]
    assert untrained is not None
    users = held_out_users(dataset, config.config.prompt, evaluation)
    finished = FinishedComparison(
        dataset=dataset,
        samples=samples,
        config=config,
        budgets=tuple(budgets),
        curve=tuple(curve),
        selected=selected,
        runs=[run for run in runs if run is not None],
        untrained=untrained,
        surrogate=choice(dataset, users, evaluation, surrogate),
        known=known,
        users=users,
        seconds=[],
    )
    return written(finished, place)
