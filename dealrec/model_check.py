"""Tries a language model out: a prompt, effort against plain autograd, a step of LoRA, and what they took."""

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from dealrec.config import EffortConfig, FinetuneConfig
from dealrec.config.catalogue import Measured, catalogue, keep_measured
from dealrec.config.effort import EffortParameters
from dealrec.config.language_models import language_model, unknown_model
from dealrec.config.model_use import ModelUse
from dealrec.config.runtime import Runtime
from dealrec.data.prompts import PromptedSample
from dealrec.data.synthetic import GENRES
from dealrec.effort.gradients import GradientMeter
from dealrec.effort.scoring import measure_shard
from dealrec.environment import processor
from dealrec.errors import DealrecError, InputError
from dealrec.finetune.trainer import LoraTraining
from dealrec.language_models.batch_plan import plan_batches
from dealrec.language_models.checking import require_usable
from dealrec.language_models.loading import LoadedLanguageModel, load_language_model
from dealrec.language_models.structure import find_structure, last_layer
from dealrec.language_models.tokens import EncodedSample, Encoder, batches_by_tokens, padded
from dealrec.progress import SILENT, Reporter
from dealrec.recommenders.registry import make_recommender
from dealrec.runtime import apply_runtime

SAMPLES, _COMPARED, _NEW_TOKENS = 24, 4, 12
_TOLERANCES = {"float32": 1e-3, "bfloat16": 0.1}
_LOOK_SECONDS = 0.02
_STEPS = 4


@dataclass(frozen=True)
class Checked:
    """A model that was tried out."""

    measured: Measured
    prompt: str
    answer: str
    """What the model wrote after the prompt."""


def check_model(
    name: str,
    *,
    dtype: str | None = None,
    runtime: Runtime | None = None,
    reporter: Reporter = SILENT,
) -> Checked:
    """Load a model of the catalogue, try it out, and keep what that took, for estimates.

    Args:
        name: Its name in the catalogue.
        dtype: ``float32`` or ``bfloat16``; default: that of the catalogue.
        runtime: Threads and device; default: the best that there is.
        reporter: Told of each of four steps.

    Raises:
        InputError: As :func:`~dealrec.language_models.checking.require_usable`.
        DealrecError: ``check_failed`` if effort is not that of plain autograd.
    """
    entry = language_model(name)
    if entry is None:
        raise unknown_model(name, catalogue())
    runtime = runtime or Runtime()
    config = EffortConfig.parse({"model": name, **({"dtype": dtype} if dtype else {})})
    use = ModelUse(name, dtype=config.dtype, modules=entry.target_modules)
    require_usable(use, runtime=runtime)
    device = apply_runtime(runtime)
    with _peak_memory(device) as peak:
        started = time.monotonic()
        loaded = load_language_model(name, dtype=config.dtype, device=device, reporter=reporter)
        load_seconds = time.monotonic() - started
        samples = check_samples(SAMPLES)
        encoded = Encoder.for_model(loaded, config.max_tokens).encode(samples)
        reporter.progress(1, _STEPS, "step")
        prompt, answer = _answer(loaded, samples[0])
        read = _read_seconds(loaded, encoded, config.batch_tokens)
        reporter.progress(2, _STEPS, "step")
        error = effort_error(loaded, encoded[:_COMPARED], config)
        effort = _effort_seconds(loaded, samples, config, runtime)
        reporter.progress(3, _STEPS, "step")
        apply_runtime(runtime)
        train = _train_seconds(loaded, samples, encoded, name, config.dtype)
        reporter.progress(4, _STEPS, "step")
    if not error <= _TOLERANCES[config.dtype]:
        raise DealrecError(
            f"The effort of `{name}` differs from plain autograd by {error:.1e}, relative to its size.",
            code="check_failed",
            title="The language model cannot be measured exactly",
        )
    lengths = [len(sample) for sample in encoded]
    each = 1000 / sum(lengths)
    found = Measured(
        content=loaded.revision,
        device=device.type,
        processor=torch.cuda.get_device_name() if device.type == "cuda" else processor(),
        dtype=config.dtype,
        checked_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        sample_tokens=sum(lengths) / len(lengths),
        effort_error=error,
        read_seconds=read * each,
        effort_seconds=effort * each,
        train_seconds=train * each,
        load_seconds=load_seconds,
        peak_memory_bytes=peak[0],
    )
    keep_measured(name, found)
    return Checked(found, prompt, answer)


def check_samples(count: int) -> list[PromptedSample]:
    """Make samples with ten invented titles each, the same ones every time."""
    draw = random.Random(0)  # noqa: S311
    words = [(one.split(), two.split()) for one, two in GENRES.values()]

    def title() -> str:
        first, second = draw.choice(words)
        return f'"{draw.choice(first)} {draw.choice(second)}"'

    task = "Here is what a user chose, oldest first. Name the item that comes next."
    return [
        PromptedSample.plain(task, ", ".join(title() for _ in range(10)), title())
        for _ in range(count)
    ]


def effort_error(
    loaded: LoadedLanguageModel, samples: Sequence[EncodedSample], config: EffortConfig
) -> float:
    """Return the largest relative difference of effort from plain autograd, one sample after the other.

    Plain autograd is the model's own forward pass, the mean loss of the answer's tokens, and its gradient
    with respect to all weights of the last layer.
    """
    whole = config.model_copy(update={"parameters": EffortParameters.LAST_BLOCK})
    norms = GradientMeter(loaded, whole).norms(samples).double().cpu()
    weights = list(last_layer(loaded.model, find_structure(loaded.model)).parameters())
    differences = []
    try:
        for weight in weights:
            weight.requires_grad_()
        for sample, norm in zip(samples, norms, strict=True):
            ids = torch.tensor([sample.ids], device=loaded.device)
            first = sample.first_label(config.loss_on)
            logits = loaded.model(input_ids=ids, use_cache=False).logits[0, first - 1 : -1].float()
            loss = torch.nn.functional.cross_entropy(logits, ids[0, first:])
            gradients = torch.autograd.grad(loss, weights, allow_unused=True)
            squares = [one.double().square().sum() for one in gradients if one is not None]
            plain = torch.stack(squares).sum().sqrt().cpu()
            differences.append(float((norm - plain).abs() / plain))
    finally:
        for weight in weights:
            weight.requires_grad = False
    return max(differences)


def _answer(loaded: LoadedLanguageModel, sample: PromptedSample) -> tuple[str, str]:
    prompt = sample.prompt
    tokens = loaded.tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
    tokens = tokens.to(loaded.device)
    with torch.no_grad():
        ids = loaded.model.generate(**tokens, max_new_tokens=_NEW_TOKENS, do_sample=False)
    new = ids[0, tokens["input_ids"].shape[1] :]
    return prompt, loaded.tokenizer.decode(new, skip_special_tokens=True)


def _read_seconds(
    loaded: LoadedLanguageModel, encoded: Sequence[EncodedSample], batch_tokens: int
) -> float:
    structure, pad = find_structure(loaded.model), loaded.tokenizer.pad_token_id or 0
    batches = batches_by_tokens([len(sample) for sample in encoded], batch_tokens)

    def read() -> None:
        for batch in batches:
            tokens = padded([encoded[place] for place in batch], pad, loaded.device)
            with torch.no_grad():
                structure.logits(structure.hidden_states(tokens)[:, -2:])

    read()
    with _clock(loaded.device) as seconds:
        read()
    return seconds[0]


def _effort_seconds(
    loaded: LoadedLanguageModel,
    samples: Sequence[PromptedSample],
    config: EffortConfig,
    runtime: Runtime,
) -> float:
    """Measure as the stage does; a model without attention is measured on its whole last layer."""
    apply_runtime(runtime.on_one_thread())
    encoder = Encoder.for_model(loaded, config.max_tokens)
    plan = plan_batches(encoder, samples.__getitem__, len(samples), config)
    whole = plan.whole()
    try:
        part = measure_shard(loaded, plan, whole, samples.__getitem__, config, runtime=runtime)
    except InputError:
        config = config.model_copy(update={"parameters": EffortParameters.LAST_BLOCK})
        part = measure_shard(loaded, plan, whole, samples.__getitem__, config, runtime=runtime)
    return part.seconds


def _train_seconds(
    loaded: LoadedLanguageModel,
    samples: Sequence[PromptedSample],
    encoded: Sequence[EncodedSample],
    name: str,
    dtype: str,
) -> float:
    """Make two steps of LoRA with a third of the samples each; the second is timed, for all of them."""
    config = FinetuneConfig.parse({"model": name, "dtype": dtype, "batch_size": len(samples) // 3})
    recommender = make_recommender(loaded, config)
    training = LoraTraining(recommender, list(samples), config)
    training.advance()
    tokens = sum(len(encoded[place]) for place in training.schedule.batch(1))
    with _clock(loaded.device) as seconds:
        training.advance()
    training.detach()
    return seconds[0] * sum(len(sample) for sample in encoded) / tokens


@contextmanager
def _clock(device: torch.device) -> Iterator[list[float]]:
    """Give a list that gets the seconds of the block, with the work of a GPU finished."""
    seconds: list[float] = []
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.monotonic()
    yield seconds
    if device.type == "cuda":
        torch.cuda.synchronize()
    seconds.append(time.monotonic() - started)


@contextmanager
def _peak_memory(device: torch.device) -> Iterator[list[int]]:
    """Give a list with the most bytes that the block holds: of the GPU, or of this process."""
    peak, ended = [0], threading.Event()

    def look() -> None:
        while not ended.wait(_LOOK_SECONDS):
            peak[0] = max(peak[0], _resident())

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        yield peak
        peak[0] = torch.cuda.max_memory_allocated()
        return
    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def _resident() -> int:
    """Return the process's own memory without mapped files, as the worker looks at it."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    own = (line for line in lines if line.startswith(("RssAnon:", "RssShmem:")))
    return 1024 * sum(int(line.split()[1]) for line in own)
