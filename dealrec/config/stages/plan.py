"""Plans a job on a data set: the service and the library resolve, size and key jobs by this module."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from dealrec.config.budget import resolve_budget
from dealrec.config.comparison import ComparisonConfig
from dealrec.config.continuation import Continued
from dealrec.config.curve import TargetUse
from dealrec.config.data import DataKind, Sampling, no_given_samples, no_timestamps
from dealrec.config.evaluation import EvaluationConfig, HeldOut
from dealrec.config.finetune import FinetuneConfig, no_validation_split
from dealrec.config.influence import InfluenceConfig, RiskTarget
from dealrec.config.prompt import NO_RATINGS, PromptConfig, prompt_not_possible
from dealrec.config.prune import PruneConfig
from dealrec.config.selection import SelectionConfig
from dealrec.config.selectors import Need, selector_needs
from dealrec.config.stages.base import (
    JobOptions,
    StageName,
    StagePlace,
    StageSpec,
    Workload,
)
from dealrec.config.stages.registry import (
    compared_stages,
    hashed,
    needed_stages,
    planned_stages,
    stage_keys,
    stage_needs,
    trained_stages,
)
from dealrec.config.texts import for_texts, no_evaluation, no_ids, require_recommender_of_texts
from dealrec.errors import FieldError, InputError

_GATE = StagePlace(StageName.HEADROOM)
_BEFORE_GATE = {_GATE, StagePlace(StageName.AUDIT), StagePlace(StageName.SURROGATE)}
"""The stages that every comparison has: the surrogate of the first run is shown with the headroom."""
_FEWEST_AIMED_AT = 20
"""With fewer validation users, no selector that aims at them is a default: it may see one half of them, and
needs at least two who chose different titles."""


@dataclass(frozen=True)
class DataShape:
    """The facts of a validated data set that a plan needs: the details of the stage that validated it."""

    sha256: str
    counts: Mapping[str, int]
    """Users, items, interactions, interactions by split, ``valid_users`` and ``test_users``."""
    train_lengths: Mapping[str, int]
    """The number of users for each number of training items."""
    has_times: bool = False
    """Whether the interactions have timestamps."""
    has_ratings: bool = False
    """Whether their ratings are kept."""
    texts: tuple[str, ...] | None = None
    """The texts of items besides the title; ``None`` where they are not known."""
    has_ids: bool = True
    """Whether samples have users and items; false for texts alone."""

    @property
    def has_validation(self) -> bool:
        """Whether a risk can be measured on validation items.

        The data sets of the first versions did not count the users who have some.
        """
        return bool(self.counts.get("valid_users", self.counts.get("valid")))

    @property
    def can_aim(self) -> bool:
        """Whether a selector that aims at validation users may be a default."""
        users = self.counts.get("valid_users", self.counts.get("valid", 0))
        return users >= _FEWEST_AIMED_AT

    @property
    def has_test(self) -> bool:
        """Whether anybody can be asked for a test item."""
        return bool(self.counts.get("test_users", self.counts.get("test")))

    @property
    def given(self) -> int:
        """The number of samples that came with the data."""
        return self.counts.get("samples_given", 0)

    def with_samples_of(self, config: PruneConfig) -> tuple["DataShape", PruneConfig]:
        """Decide about the samples: those that came with the data, unless ``config`` names others.

        The shape is that of these samples, whose targets have no times where they are given.

        Raises:
            InputError: ``no_given_samples`` where no samples came with the data and they are asked for.
        """
        sampling = config.sampling.of_data(given=bool(self.given))
        config = config.model_copy(update={"sampling": sampling})
        if sampling is not Sampling.GIVEN:
            return self, config
        if not self.given:
            raise no_given_samples("config.sampling")
        return replace(self, has_times=False), config

    def decided(self, config: PruneConfig) -> PruneConfig:
        """Fill in the selector that was not asked for, and the other defaults that texts without ids have.

        See :func:`~dealrec.config.texts.for_texts`.
        """
        if not self.has_ids:
            return for_texts(config)
        return config.with_default_selector(can_aim=self.can_aim)

    def samples(self, config: PruneConfig) -> int:
        """Count the samples; raises :class:`InputError` (``no_samples``) if there are none."""
        sampling = config.sampling.of_data(given=bool(self.given))
        if sampling is Sampling.GIVEN:
            return self.given
        found = count_samples(self.train_lengths, sampling, config.min_history)
        if not found:
            raise InputError(
                (
                    f"The data set has no sample with at least {config.min_history} items of history. "
                    "Lower `min_history`, or use data with more interactions of each user."
                ),
                code="no_samples",
                title="There are no samples to choose from",
            )
        return found

    def require_times(
        self, selections: Iterable[SelectionConfig], place: str, influence: InfluenceConfig
    ) -> None:
        """Raise :class:`InputError` (``no_timestamps``) where times are needed that are missing.

        ``place`` is the field of the configuration that names the selectors.
        """
        if not self.has_ids:
            return  # nothing that looks at times is asked of texts alone
        if not self.has_times and influence.target is RiskTarget.RECENT:
            who = "The influence target `recent`"
            raise no_timestamps(who, "another target", "config.influence.target")
        lacking = (one.method for one in selections if Need.TIMES in selector_needs(one))
        if not self.has_times and (named := next(lacking, None)) is not None:
            raise no_timestamps(f"The selector `{named}`", "`popular`, which needs none", place)

    def require_prompt(self, prompt: PromptConfig) -> None:
        """Raise :class:`InputError` where templates ask for what the data set does not have.

        ``no_timestamps``, or ``prompt_not_possible`` for ratings and unknown texts of items.
        """
        asked = prompt.fields
        if asked.times and not self.has_times:
            place = f"config.prompt.{asked.times}"
            raise no_timestamps(f"`prompt.{asked.times}`", "a template without them", place)
        if asked.ratings and not self.has_ratings:
            raise prompt_not_possible(asked.ratings, NO_RATINGS)
        for part, names in asked.texts.items():
            missing = [] if self.texts is None else sorted(names - {*self.texts})
            if missing:
                known = ", ".join(("title", "id", *(self.texts or ())))
                raise prompt_not_possible(
                    part, f"asks for `{missing[0]}`, which items do not have; they have {known}"
                )

    def require_held_out(self, evaluation: EvaluationConfig | None) -> None:
        """Raise :class:`InputError` (``no_held_out_users``, ``no_sample_ids``) where nobody can be asked.

        The evaluation would raise it too, but only after the training.
        """
        if evaluation is None:
            return
        if not self.has_ids:
            raise no_evaluation()
        auto = evaluation.split is HeldOut.AUTO
        splits = [HeldOut.VALID, HeldOut.TEST] if auto else [evaluation.split]
        if not any(self.counts.get(split.value) for split in splits):
            named = " or ".join(f"`{split.value}`" for split in splits)
            raise InputError(
                f"The data set has no {named} interactions, so there are no held-out users to evaluate "
                "on. Leave the evaluation out, or use a split that creates some.",
                code="no_held_out_users",
                title="There are no held-out users",
                errors=[
                    FieldError("config.evaluation.split", f"the data set has no {named} split")
                ],
            )

    def require_validation(self, finetune: FinetuneConfig | None) -> None:
        """Raise :class:`InputError` (``no_validation_split``) where a training has none to measure.

        Also ``no_sample_ids`` for a recommender that learns from a catalogue, where there is none.
        """
        if finetune is not None and not self.has_ids:
            require_recommender_of_texts(finetune.recommender, finetune.entry.needs_catalogue)
        if finetune is not None and finetune.validation.samples and not self.has_validation:
            raise no_validation_split()


class Reported(TypedDict):
    """The facts of a data set that the report of its validation says."""

    has_times: bool
    has_ratings: bool
    has_ids: bool
    texts: tuple[str, ...] | None


def reported(report: Mapping[str, Any]) -> Reported:
    """Read the facts; reports of earlier versions have fewer."""
    texts = report.get("texts")
    return {
        "has_times": bool(report.get("times")),
        "has_ratings": bool(report.get("ratings")),
        "has_ids": DataKind.of(report) is not DataKind.TEXTS,
        "texts": None if texts is None else tuple(texts),
    }


@dataclass(frozen=True)
class PlannedStage:
    """A stage of a job, and what decides its result."""

    spec: StageSpec
    place: StagePlace
    key: str
    options: JobOptions
    """The options of the run to which the stage belongs."""
    needs: tuple[StagePlace, ...]
    loads: Mapping[str, object]
    """The revisions of its language model; see :meth:`StageSpec.loads`."""


@dataclass(frozen=True)
class Plan:
    """A job on a data set that is ready."""

    stages: list[PlannedStage]
    """Every stage comes after those that it needs."""
    options: JobOptions
    """Resolved. A :class:`Workload` where the job selects samples."""

    @property
    def shards(self) -> dict[StagePlace, int]:
        """The stages that are split, and into how many shards."""
        counts = {
            stage.place: stage.spec.shards(stage.options)
            for stage in self.stages
            if isinstance(stage.options, Workload)
        }
        return {place: count for place, count in counts.items() if count > 1}


def plan_prune(
    config: PruneConfig,
    requested: int | float,
    data: DataShape,
    *,
    target: TargetUse | None = None,
    continued: Continued | None = None,
) -> Plan:
    """Plan a job that makes a coreset of ``requested`` samples, a count or a fraction.

    ``target`` is what ``requested`` followed from, if that was not asked for itself. ``continued`` names the
    earlier job that this one goes on from.

    Raises :class:`InputError` (``no_samples``, ``budget_too_large``, ``no_validation_split``,
    ``no_held_out_users``, ``no_timestamps``, ``no_sample_ids``, …) where the job cannot run on the data.
    """
    config = data.decided(config)
    if continued is not None and not data.has_ids:
        why = (
            "Run the job on all texts in the work folder of the earlier job instead; finished stages are "
            "reused from there."
        )
        raise no_ids("Continuing from an earlier job", why, "continue_from")
    data.require_held_out(config.evaluation)
    data.require_prompt(config.prompt)
    data, config = data.with_samples_of(config)
    data.require_validation(config.finetune)
    data.require_times([config.selection], "config.selection.method", config.influence)
    config = config.resolved(has_validation=data.has_validation, has_test=data.has_test)
    samples = data.samples(config)
    budget = resolve_budget(requested, samples)
    load = Workload(config, budget, None, samples, data.counts, target=target, continued=continued)
    specs = planned_stages(config, has_ids=data.has_ids)
    return Plan(plan_stages(specs, load, source=data.sha256), load)


def plan_comparison(comparison: ComparisonConfig, data: DataShape) -> Plan:
    """Plan a job that compares selectors; raises as :func:`plan_prune`."""
    if not data.has_ids:
        why = (
            "A comparison evaluates which items held-out users choose. `dealrec prune` can select from "
            "such texts."
        )
        raise no_ids("A comparison", why, "dataset_id")
    data.require_held_out(comparison.config.evaluation)
    data.require_prompt(comparison.config.prompt)
    data, config = data.with_samples_of(comparison.config)
    comparison = comparison.model_copy(update={"config": config})
    comparison = comparison.for_data(has_times=data.has_times, can_aim=data.can_aim)
    selections = map(comparison.selection, comparison.selectors)
    data.require_times(selections, "selectors", comparison.config.influence)
    comparison = comparison.resolved(has_validation=data.has_validation, has_test=data.has_test)
    samples = data.samples(comparison.config)
    comparison.resolved_budgets(samples)
    comparison.resolved_curve(samples)
    _, largest = comparison.largest(samples)
    load = Workload(comparison.config, largest, comparison, samples, data.counts)
    return Plan(plan_runs(load, source=data.sha256), load)


def plan_training(config: PruneConfig, coreset: str) -> Plan:
    """Plan a job that trains on a stored coreset; ``coreset`` is its id or its hash."""
    options = JobOptions(config)
    return Plan(plan_stages(trained_stages(config), options, source=coreset), options)


def plan_stages(
    specs: Sequence[StageSpec], options: JobOptions, *, source: str
) -> list[PlannedStage]:
    """Plan each of ``specs`` once; ``source`` is as for :func:`~.registry.stage_keys`."""
    keys = stage_keys(specs, options, source=source)
    return [
        PlannedStage(
            spec,
            StagePlace(spec.name),
            keys[spec.name],
            options,
            tuple(StagePlace(n) for n in stage_needs(spec, options.config) if n in keys),
            spec.loads(options.config),
        )
        for spec in specs
    ]


def plan_runs(options: JobOptions, *, source: str) -> list[PlannedStage]:
    """Plan the stages of a comparison: what depends on the seeds of a run is made for each run.

    A stage whose key is the same in two runs, such as the effort of the frozen language model, is
    made once. Which stages those are depends on no data, so that a job can be laid out before its
    data set is ready.

    Whether there is anything to learn is asked first: what is made for selectors alone waits for the
    answer. That order is in no key, because it changes no result.
    """
    comparison = options.comparison
    assert comparison is not None
    first = plan_stages(compared_stages(comparison), options, source=source)
    *first, compare = first
    found = {stage.key: stage for stage in first}
    for run in range(1, comparison.most_runs):
        config = comparison.of_run(run)
        specs = needed_stages(config, comparison.needs(run))
        of_run = dict[StageName, StagePlace]()
        for stage in plan_stages(specs, replace(options, config=config), source=source):
            name = stage.place.name
            of_run[name] = found[stage.key].place if stage.key in found else StagePlace(name, run)
            needs = tuple(of_run[need.name] for need in stage.needs)
            found.setdefault(stage.key, replace(stage, place=of_run[name], needs=needs))
    before = sorted(found.values(), key=lambda stage: stage.place.run)
    read = [stage.key for stage in before if stage.place != _GATE]
    facts = {"run": compare.key, "inputs": read}
    places = tuple(stage.place for stage in before)
    if _GATE in places:
        before = [
            stage if stage.place in _BEFORE_GATE else replace(stage, needs=(_GATE, *stage.needs))
            for stage in before
        ]
    return [*before, replace(compare, key=hashed(facts), needs=places)]


def count_samples(train_lengths: Mapping[str, int], sampling: Sampling, min_history: int) -> int:
    """The samples of a data set that has ``train_lengths[n]`` users with ``n`` training items."""
    lengths = ((int(length), users) for length, users in train_lengths.items())
    if sampling is Sampling.PER_USER:
        return sum(users for length, users in lengths if length > min_history)
    return sum(users * max(0, length - min_history) for length, users in lengths)
