"""The whole method in one call, for people who have no server.

Every function runs the stages that the service runs, in a folder of finished stages: see
:class:`dealrec.stages.workspace.Workspace`.
"""

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dealrec.comparison.results import ComparisonReport
from dealrec.comparison.targets import AskedBudget
from dealrec.config import (
    ComparisonConfig,
    DataOptions,
    EvaluationConfig,
    FinetuneConfig,
    PruneConfig,
    SplitMethod,
    data_options,
)
from dealrec.config.continuation import Continuation, with_earlier_adapter
from dealrec.config.finetune import no_validation_split
from dealrec.config.prompt import PromptFormat
from dealrec.config.runtime import Runtime
from dealrec.config.stages import (
    STAGES,
    JobOptions,
    Plan,
    StageName,
    compared_stages,
    hashed,
    plan_comparison,
    plan_prune,
    plan_stages,
    plan_training,
    planned_stages,
    trained_stages,
)
from dealrec.config.unread import OptionWarning, comparison_warnings, config_warnings, told
from dealrec.coresets.folders import coreset_folder, prompt_of
from dealrec.coresets.writer import MANIFEST, Coreset
from dealrec.disk import local_file
from dealrec.earlier_runs import EarlierRun, keep_run
from dealrec.errors import FieldError
from dealrec.language_models.adapters import require_adapter, require_base
from dealrec.progress import StageReporters, interactive_stages
from dealrec.prune_result import PruneResult
from dealrec.result_folders import CACHE, adapter_sha256, nothing_left, result_folder, workspace_in
from dealrec.sources import Addition, Source, source_files
from dealrec.stages.language_models import require_models
from dealrec.stages.results import ADAPTER, publish, require_kept_start
from dealrec.stages.tracked import Tracking
from dealrec.stages.workspace import JobInput
from dealrec.terminal import shows_progress

_WORK, _TRAINING = ".work", ".training"


@shows_progress
def prune(
    interactions: Source | None = None,
    *,
    budget: int | float | None = None,
    target: float | str | None = None,
    target_from: str | Path | None = None,
    items: Source | None = None,
    samples: Source | None = None,
    appended: Sequence[Source | Addition] = (),
    continue_from: str | Path | None = None,
    continuation: Continuation | Mapping[str, Any] | None = None,
    out: str | Path,
    work: str | Path | None = None,
    config: PruneConfig | Mapping[str, Any] | None = None,
    data: DataOptions | Mapping[str, Any] | None = None,
    columns: Mapping[str, str] | None = None,
    split: SplitMethod | str | None = None,
    runtime: Runtime | None = None,
    track: str | Sequence[str] = (),
    stages: StageReporters = interactive_stages,
) -> PruneResult:
    """Select the samples of ``interactions`` that are worth fine-tuning an LLM on.

    Args:
        interactions: A file in any format of :mod:`dealrec.data`, or a table such as a DataFrame. They
            are not needed with ``samples``, whose items are then the interactions.
        budget: A count, or a fraction between 0 and 1.
        target: Instead of a budget: the share of what all samples give, such as ``95 % of full``.
        target_from: The report of a comparison with the same data, prompt, recommender and language
            model, or its folder. Its curve says how many samples the target needs.
        items: The catalogue (``item_id``, ``title``). Without it, ids are used as titles.
        samples: Samples that are ready texts: ``sample_id``, ``user_id``, ``history``, ``target``, and
            the texts in a form that :func:`dealrec.data.texts.sample_of_row` reads. The texts alone are
            enough for selectors that need no surrogate (:func:`dealrec.config.texts.text_selectors`).
        appended: Later interactions, oldest first; an :class:`~dealrec.sources.Addition` also has new
            items. Each makes a version of the data set. Versions that ``work`` already holds are not read
            again.
        continue_from: The folder of an earlier result, on this version of the data or an earlier one. The
            surrogate starts from its earlier weights, and effort is measured only for new texts.
        continuation: How to continue: a :class:`dealrec.config.continuation.Continuation`, or its fields.
        out: The folder for the results. Each result appears as soon as it is finished, and replaces that
            of an earlier run. A coreset with other members removes the earlier run's adapter and
            evaluation, and a new adapter removes the earlier evaluation; your own files stay.
        work: The folder in which finished stages are kept for reuse; default: ``.work`` in ``out``. A
            stopped run continues from there, and another budget or selector needs no training.
        config: The options. Those that are left out have defaults.
        data: How the files become a data set: a :class:`dealrec.config.DataOptions`, or its fields.
        columns: The field of ``data`` of this name.
        split: The field of ``data`` of this name.
        runtime: Threads and device; default: from the environment.
        track: Trackers that get the curves of the trainings, the options and the coreset's hash, such as
            ``mlflow:http://localhost:5000`` or ``tensorboard:runs``; see :mod:`dealrec.tracking`. One that
            fails is a warning.
        stages: Gives the reporter of each stage that runs; by default bars on a terminal and in a
            notebook. :func:`dealrec.progress.silent_stages` shows nothing.

    Raises:
        InputError: The data, the budget, the target or the configuration cannot be used.

    Examples:
        >>> from dealrec.data.synthetic import write_sample_data
        >>> write_sample_data(Path("sample"), users=40, items=30)
        >>> config = {"surrogate": {"epochs": 1}}
        >>> result = prune("sample/interactions.csv", budget=8, out="result", config=config)
        >>> result.to_arrow().num_rows
        8
        >>> (result.folder / "report.html").exists()
        True
    """
    asked, tracking = AskedBudget.read(budget, target, target_from), Tracking(track)
    before = None if continue_from is None else EarlierRun.read(continue_from)
    continued = None if before is None else before.continued(continuation)
    options = data_options(data, columns=columns, split=split)
    if not isinstance(config, PruneConfig):
        config = PruneConfig.parse(dict(config or {}))
    if before is not None and continued is not None and continued.adapter:
        config = with_earlier_adapter(config, before.adapter)
    require_models(planned_stages(config), config, runtime)
    out = result_folder(out)
    require_kept_start(config.finetune, out)
    in_place = continue_from is not None and out.resolve() == result_folder(continue_from).resolve()
    workspace = workspace_in(work or out / _WORK, runtime, stages)
    with (
        source_files(interactions, items, options, samples, appended) as files,
        nothing_left(workspace, out),
    ):
        ready = workspace.ingest(files)
        requested, followed = asked.resolved(ready.shape.sha256, config)
        plan = plan_prune(config, requested, ready.shape, target=followed, continued=continued)
        # The selector, and so the models, may follow from the data.
        require_models([stage.spec for stage in plan.stages], plan.options.config, runtime)
    found = config_warnings(plan.options.config, plan.options.budget, has_ids=ready.shape.has_ids)
    warned = _warned(found)
    artifacts = {}
    given = JobInput(ready.folder, requested, None if before is None else before.folders)
    for name, artifact in workspace.run(plan, given):
        artifacts[name] = artifact
        tracking.add(name, artifact.facts)
        publish(workspace, name, artifact, out, plan.options.config, options)
        if name is StageName.SELECT and not in_place:
            keep_run(out, ready.folder, plan, {n: one.folder for n, one in artifacts.items()})
    keep_run(out, ready.folder, plan, {n: one.folder for n, one in artifacts.items()})
    manifest = json.loads((artifacts[StageName.SELECT].folder / MANIFEST).read_text())
    used = plan.options.config.model_dump(mode="json")
    warned += tracking.write("prune", out.name, used, manifest=manifest)
    evaluated, audited = artifacts.get(StageName.EVALUATE), artifacts.get(StageName.AUDIT)
    return PruneResult(
        out,
        Coreset(manifest["size"], manifest["sha256"], manifest["coverage"], manifest),
        plan.options.config,
        ready.facts.details["report"],
        out / ADAPTER if StageName.FINETUNE in artifacts else None,
        evaluated.facts.details if evaluated else None,
        audited.facts.metrics if audited else None,
        followed,
        warned,
    )


@shows_progress
def compare(
    interactions: Source,
    *,
    items: Source | None = None,
    samples: Source | None = None,
    appended: Sequence[Source | Addition] = (),
    config: ComparisonConfig | Mapping[str, Any],
    out: str | Path,
    work: str | Path | None = None,
    data: DataOptions | Mapping[str, Any] | None = None,
    columns: Mapping[str, str] | None = None,
    split: SplitMethod | str | None = None,
    runtime: Runtime | None = None,
    track: str | Sequence[str] = (),
    stages: StageReporters = interactive_stages,
) -> ComparisonReport:
    """Find out from which selector's coresets a language model learns most, on your data.

    Args:
        interactions: A file in any format of :mod:`dealrec.data`, or a table such as a DataFrame.
        items: The catalogue (``item_id``, ``title``).
        samples: Samples with texts of their own, as for :func:`prune`.
        appended: Interactions that came later, as for :func:`prune`.
        config: What is compared.
        out: The folder for ``report.html``, ``report.json`` and ``users.parquet``.
        work: As for :func:`prune`. If it is given, finished runs and the states of frozen layers, which
            take gigabytes, are kept in it for other comparisons of the same data.
        data: How the files become a data set, as for :func:`prune`.
        columns: The field of ``data`` of this name.
        split: The field of ``data`` of this name.
        runtime: Threads and device; default: from the environment.
        track: Trackers that get the curves of the trainings, the options and the coreset's hash, such as
            ``mlflow:http://localhost:5000`` or ``tensorboard:runs``; see :mod:`dealrec.tracking`. One that
            fails is a warning.
        stages: Gives the reporter of each stage that runs; by default bars on a terminal and in a
            notebook. :func:`dealrec.progress.silent_stages` shows nothing.

    Raises:
        InputError: The data, the budgets or the configuration cannot be used.
    """
    options = data_options(data, columns=columns, split=split)
    if not isinstance(config, ComparisonConfig):
        config = ComparisonConfig.parse(dict(config), location="comparison")
    require_models(compared_stages(config), config.config, runtime)
    out, tracking = result_folder(out), Tracking(track)
    workspace = workspace_in(work or out / _WORK, runtime, stages)
    with (
        source_files(interactions, items, options, samples, appended) as files,
        nothing_left(workspace, out),
    ):
        ready = workspace.ingest(files)
        plan = plan_comparison(config, ready.shape)
    _warned(comparison_warnings(config))
    for name, artifact in workspace.run(plan, JobInput(ready.folder)):
        tracking.add(name, artifact.facts)
    workspace.copy(artifact, out)
    used = config.model_dump(mode="json")
    tracking.write("comparison", out.name, used, dataset_sha256=ready.shape.sha256)
    if work is None:
        workspace.discard(CACHE)
    return ComparisonReport.model_validate_json((out / "report.json").read_text())


@shows_progress
def finetune(
    coreset: str | Path,
    interactions: Source | None = None,
    *,
    items: Source | None = None,
    samples: Source | None = None,
    config: FinetuneConfig,
    out: str | Path,
    prompt_format: PromptFormat | None = None,
    data: DataOptions | Mapping[str, Any] | None = None,
    work: str | Path | None = None,
    runtime: Runtime | None = None,
    track: str | Sequence[str] = (),
    stages: StageReporters = interactive_stages,
) -> dict[str, float]:
    """Train a LoRA adapter on a coreset.

    Args:
        coreset: A folder that :func:`prune` has written, or JSON Lines with ``instruction``, ``input``
            and ``output`` in each object.
        interactions: The data from which the coreset was selected. They are needed for a recommender that
            learns from the titles of the whole catalogue, and for validation samples.
        items: The catalogue of these data.
        samples: Samples with texts of their own, as for :func:`prune`; texts without ids that are held out
            can be the validation samples.
        config: How the adapter is trained.
        out: The folder for the adapter.
        prompt_format: Whether the texts of a file are read in the model's chat template; default:
            ``auto``. A folder of :func:`prune` has its own.
        data: How the files become a data set, as for :func:`prune`.
        work: The folder for the state of the training, from which a stopped training continues; default:
            a hidden folder in ``out``, which is removed at the end.
        runtime: Threads and device; default: from the environment.
        track: As for :func:`prune`.
        stages: Gives the reporter of the stage.

    Returns:
        The training's metrics, as :class:`dealrec.finetune.training.FinetuneResult` has them.

    Raises:
        InputError: ``invalid_coreset``, ``unknown_model``, ``model_not_available``, ``no_catalogue``,
            ``no_validation_split``, ``prompt_format_is_set``, and as
            :func:`dealrec.finetune.training.finetune`.
    """
    prompt = prompt_of(Path(coreset), prompt_format)
    options = PruneConfig(finetune=config, prompt=prompt)
    require_models(trained_stages(options), options, runtime)
    read_again = interactions is not None or samples is not None
    if config.validation.samples and not read_again:
        raise no_validation_split()
    out, tracking = result_folder(out), Tracking(track)
    workspace = workspace_in(work or out / _TRAINING, runtime, stages)
    with coreset_folder(Path(coreset), prompt) as (chosen, sha256), nothing_left(workspace, out):
        folder, key = Path(), sha256
        wanted = config.entry.needs_catalogue or config.validation.samples > 0
        if wanted and read_again:
            with source_files(interactions, items, data_options(data), samples) as files:
                read = workspace.ingest(files)
                read.shape.require_validation(config)
            folder, key = read.folder, hashed([key, read.shape.sha256])
        given = JobInput(folder, given={StageName.SELECT: chosen})
        ((name, artifact),) = workspace.run(plan_training(options, key), given)
        workspace.copy(artifact, out)
    tracking.add(name, artifact.facts)
    tracking.write("finetune", out.name, config.model_dump(mode="json"), coreset_sha256=sha256)
    if work is None:
        workspace.discard()
    return artifact.facts.metrics


@shows_progress
def evaluate(
    result: str | Path,
    interactions: Source,
    *,
    items: Source | None = None,
    finetune: FinetuneConfig,
    config: EvaluationConfig,
    work: str | Path | None = None,
    data: DataOptions | Mapping[str, Any] | None = None,
    columns: Mapping[str, str] | None = None,
    split: SplitMethod | str | None = None,
    runtime: Runtime | None = None,
    stages: StageReporters = interactive_stages,
) -> Mapping[str, Any]:
    """Evaluate the adapter of a result on held-out users, and the model without it.

    Args:
        result: A folder that :func:`prune` has written, with ``adapter/`` in it. It gets ``evaluation.json``.
        interactions: The data with the held-out users.
        items: The catalogue of these data.
        finetune: The options with which the adapter was trained. They name the model to load.
        config: The options of the evaluation.
        work: As for :func:`prune`.
        data: How the files become a data set, as for :func:`prune`.
        columns: The field of ``data`` of this name.
        split: The field of ``data`` of this name.
        runtime: Threads and device; default: from the environment.
        stages: Gives the reporter of each stage.

    Returns:
        As :func:`dealrec.recommenders.evaluation.evaluate_adapter`.

    Raises:
        InputError: ``no_held_out_users``, ``adapter_not_usable``, ``answers_aimed_at`` for validation
            users whose answers the selection looked at, or the data cannot be used.
    """
    read = data_options(data, columns=columns, split=split)
    result = result_folder(result)
    require_adapter(result / ADAPTER)
    require_base(result / ADAPTER, finetune.model)
    manifest = json.loads(local_file(result / MANIFEST).read_text())
    options = PruneConfig.parse(manifest["config"]).model_copy(
        update={"finetune": finetune, "evaluation": config}
    )
    require_models(trained_stages(options), options, runtime)
    workspace = workspace_in(work or result / _WORK, runtime, stages)
    with source_files(interactions, items, read) as files, nothing_left(workspace, result):
        ready = workspace.ingest(files)
        ready.shape.require_held_out(config)
        options.require_unseen_answers(
            config, has_test=ready.shape.has_test, location="config.split"
        )
    spec = STAGES[StageName.EVALUATE]
    job, trained = JobOptions(options), STAGES[StageName.FINETUNE].key_options(JobOptions(options))
    chosen = options.model_dump(mode="json", include={"prompt", "validation_users"})
    adapter = hashed([ready.shape.sha256, adapter_sha256(result / ADAPTER), trained, chosen])
    plan = Plan(plan_stages([spec], job, source=adapter), job)
    given = {StageName.SELECT: result, StageName.FINETUNE: result / ADAPTER}
    ((_, artifact),) = workspace.run(plan, JobInput(ready.folder, given=given))
    workspace.copy(artifact, result)
    return artifact.facts.details


def _warned(found: Iterable[FieldError]) -> tuple[str, ...]:
    """Warn of options before the work begins, in the name of the function's caller."""
    sentences = tuple(map(told, found))
    for sentence in sentences:
        warnings.warn(sentence, OptionWarning, stacklevel=4)
    return sentences
