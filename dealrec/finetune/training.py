"""LoRA training of any recommender on samples in words, from the loaded model to the adapter's folder."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dealrec.checkpoints import TrainingCheckpoint
from dealrec.config.finetune import FinetuneConfig
from dealrec.config.runtime import Runtime
from dealrec.data.prompter import ShownTitles
from dealrec.data.prompts import PromptedSample
from dealrec.disk import file_sha256
from dealrec.errors import Cancelled, InputError
from dealrec.finetune.adapter import save_adapter
from dealrec.finetune.trainer import LoraTraining, LoraTrainingState
from dealrec.language_models.adapters import ADAPTER_FILES, require_adapter
from dealrec.language_models.loading import load_language_model
from dealrec.progress import SILENT, Reporter
from dealrec.recommenders.registry import make_recommender
from dealrec.runtime import apply_runtime


@dataclass(frozen=True)
class FinetuneResult:
    """The figures of a training; the adapter itself is in its folder."""

    metrics: dict[str, float]
    """``train_loss`` (mean over the steps of the last epoch), ``steps``, ``samples``, ``tokens`` and
    ``seconds`` (after a resume: of the last run alone). Where held-out samples were measured, also
    ``valid_loss`` of the adapter that is kept, the ``best_step`` with the lowest, and ``valid_samples``."""
    revision: str
    """The revision of the base model."""


def finetune(
    examples: Sequence[PromptedSample],
    config: FinetuneConfig,
    *,
    out: Path,
    titles: ShownTitles | None = None,
    held_out: Sequence[PromptedSample] = (),
    start: Path | None = None,
    checkpoint_dir: Path | None = None,
    model_card: Mapping[str, Any] | None = None,
    runtime: Runtime | None = None,
    reporter: Reporter = SILENT,
    pieces: int = 1,
) -> FinetuneResult:
    """Train LoRA on ``examples`` and write ``out``, a folder that peft loads.

    Args:
        examples: At least one.
        config: Model, adapter and training.
        out: It must not exist, or be an empty folder. It appears complete or not at all.
        titles: The titles of the catalogue, for recommenders that learn from them.
        held_out: The samples that ``config.validation`` asks for; without any nothing is measured.
        start: The PEFT folder of the adapter to go on from; default: the folder ``config.from_adapter``.
        checkpoint_dir: Where the training is kept every ``config.checkpoint_steps`` steps, and
            when it is cancelled. A training of the same examples and configuration goes on from
            there, and on a CPU ends with the very same adapter.
        model_card: Facts about the data for the card, by name.
        runtime: Device and threads.
        reporter: It gets ``text`` while texts are read that are read once, then a ``step`` of all steps,
            the curves and metrics ``train_loss`` and ``valid_loss``, the curve ``learning_rate``, the
            event ``early_stopping``, and ``replanned`` when less of a batch is held at once than before.
        pieces: Divides how much of a batch is held at once, for machines with too little memory.

    Raises:
        InputError: ``no_examples``, ``unknown_model``, ``model_not_available``,
            ``model_not_supported``, ``unknown_target_modules``, ``max_tokens_too_small``,
            ``adapter_not_usable``, and of encoders ``no_catalogue`` and ``unknown_title``.
        DealrecError: ``non_finite_loss``.
        Cancelled: When ``reporter`` says so, between steps.
    """
    if not examples:
        raise InputError("There are no samples to train on.", code="no_examples")
    if start is None and config.from_adapter is not None:
        start = Path(config.from_adapter).expanduser()
    if start is not None:
        require_adapter(start)
    device = apply_runtime(runtime or Runtime())
    loaded = load_language_model(
        config.model,
        dtype=config.dtype,
        device=device,
        quantization=config.quantization,
        reporter=reporter,
    )
    started = time.monotonic()
    # A recommender whose language model stays as it is reads each text once, and goes on from there.
    reads_once = config.lora.last_layers == 0 and checkpoint_dir is not None
    trunk = checkpoint_dir / "states" if checkpoint_dir and reads_once else None
    recommender = make_recommender(loaded, config, trunk, titles=titles)
    recommender.keep(recommender.texts([*examples, *held_out]), reporter)
    training = LoraTraining(recommender, examples, config, start=start, held_out=held_out)
    checkpoint = TrainingCheckpoint(
        None if checkpoint_dir is None else checkpoint_dir / "finetune.pt",
        _fingerprint(config, loaded.revision, [*examples, *held_out], titles, start),
        LoraTrainingState,
        reporter,
    )
    training.restore(checkpoint.read(loaded.device))
    _tell_again(training, reporter)
    _run(training, checkpoint, config.checkpoint_steps, pieces, reporter)
    training.take_best()
    metrics = {
        "train_loss": training.train_loss,
        "steps": float(training.step),
        "samples": float(len(examples)),
        "tokens": float(training.tokens),
        "seconds": time.monotonic() - started,
    }
    if training.kept_loss is not None:
        metrics["valid_loss"] = training.kept_loss
        metrics["best_step"] = float(training.best_step)
        metrics["valid_samples"] = float(len(held_out))
    save_adapter(
        training.model,
        recommender,
        config,
        metrics,
        model_card or {},
        examples[0],
        out,
    )
    reporter.metric("train_loss", training.train_loss)
    if training.kept_loss is not None:
        reporter.metric("valid_loss", training.kept_loss)
    return FinetuneResult(metrics, loaded.revision)


def _run(
    training: "LoraTraining",
    checkpoint: TrainingCheckpoint["LoraTrainingState"],
    checkpoint_steps: int,
    pieces: int,
    reporter: Reporter,
) -> None:
    """Make all steps that are left."""
    steps, at_once = training.schedule.steps, training.tokens_at_once
    training.tokens_at_once //= pieces
    try:
        reporter.progress(training.step, steps, "step")
        while not training.finished:
            if training.validation_due:
                _validate(training, reporter)
                continue
            loss = training.advance()
            reporter.metric("train_loss", loss)
            _tell(training, reporter, training.step, loss)
            if training.tokens_at_once < at_once:
                at_once = training.tokens_at_once
                reporter.event("replanned", batch_tokens=at_once)
            if not training.finished and training.step % checkpoint_steps == 0:
                checkpoint.write(training.state())
            reporter.progress(training.step, steps, "step")
        if training.stopped_early:
            reporter.event("early_stopping", step=training.step, best_step=training.best_step)
            reporter.progress(training.step, training.step, "step")  # no step is left
        checkpoint.write(training.state())
    except Cancelled:
        checkpoint.write(training.state())
        raise


def _validate(training: LoraTraining, reporter: Reporter) -> None:
    steps = training.schedule.steps
    loss = training.validate(lambda: reporter.progress(training.step, steps, "step"))
    reporter.metric("valid_loss", loss)
    reporter.point("valid_loss", training.step, loss)


def _tell(training: LoraTraining, reporter: Reporter, step: int, loss: float) -> None:
    reporter.point("train_loss", step, loss)
    reporter.point("learning_rate", step, training.schedule.learning_rate(step - 1))


def _tell_again(training: LoraTraining, reporter: Reporter) -> None:
    """Report the curves up to the checkpoint: the process that reported them first is gone."""
    for step, loss in enumerate(training.losses, 1):
        _tell(training, reporter, step, loss)
    measured = training.validation
    for step, loss in zip(measured.steps, measured.losses, strict=True):
        reporter.point("valid_loss", step, loss)


def _fingerprint(
    config: FinetuneConfig,
    revision: str,
    examples: Sequence[PromptedSample],
    titles: ShownTitles | None,
    start: Path | None,
) -> str:
    """SHA-256 of everything that the training computes from.

    ``checkpoint_steps`` is left out because it changes no result.
    """
    settings = config.identity()
    del settings["checkpoint_steps"]
    digest = hashlib.sha256(json.dumps([settings, revision], sort_keys=True).encode())
    if config.entry.needs_catalogue and titles is not None:
        digest.update(json.dumps(titles.texts).encode() + b"\n")
    if start is not None:
        digest.update("".join(file_sha256(start / name) for name in ADAPTER_FILES).encode())
    for example in examples:
        digest.update(json.dumps(asdict(example)).encode() + b"\n")
    return digest.hexdigest()
