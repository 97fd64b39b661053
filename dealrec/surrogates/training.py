"""One trainer for every surrogate: bucketed batches, early stopping, the best checkpoint kept."""

import math
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from dealrec.config import Split, SurrogateConfig
from dealrec.config.runtime import Runtime
from dealrec.data.dataset import Dataset
from dealrec.errors import DealrecError
from dealrec.evaluation.ranking import RankingMetrics, build_questions, evaluate_ranking
from dealrec.progress import SILENT, Reporter
from dealrec.runtime import apply_runtime
from dealrec.surrogates.batches import TrainingSequences, bucketed_batches
from dealrec.surrogates.interface import Surrogate
from dealrec.surrogates.losses import Loss, make_loss
from dealrec.surrogates.registry import make_surrogate
from dealrec.surrogates.storage import TrainedSurrogate

__all__ = ["TrainedSurrogate", "train_surrogate"]

STOPPING_METRIC = "ndcg@10"


def train_surrogate(
    dataset: Dataset,
    config: SurrogateConfig,
    *,
    runtime: Runtime | None = None,
    reporter: Reporter = SILENT,
) -> TrainedSurrogate:
    """Train on every training item of ``dataset`` that has one before it; none is held out.

    With a validation split, training stops after ``patience`` epochs without a better NDCG@10 and
    the best epoch's parameters are kept. Without one, all ``epochs`` are trained and the last are
    kept. The same data, configuration and thread count give the same parameters, bit for bit, on
    a CPU. Test metrics are computed once, at the end.

    Raises:
        InputError: No user has two training items.
        DealrecError: The loss is no longer a number (``training_diverged``).
    """
    device = apply_runtime(runtime or Runtime())
    started = time.perf_counter()
    sequences = TrainingSequences.of(dataset, config.max_length)
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        model = make_surrogate(dataset.n_items, config).to(device)
        run = _Run(config, dataset, sequences, model, device, reporter)
        best = _train(run)
    model.load_state_dict(best.state)
    metrics = {"epochs": float(len(run.history)), "best_epoch": float(best.epoch)}
    for split in (Split.VALID, Split.TEST):
        if dataset.has(split):
            ranking = run.evaluate(split)
            for name, value in ranking.values.items():
                metrics[f"{split}_{name}"] = value
                metrics[f"{split}_{name}_se"] = ranking.standard_errors[name]
    metrics["seconds"] = time.perf_counter() - started
    for name in ("test_recall@20", "test_ndcg@10"):
        if name in metrics:
            reporter.metric(name, metrics[name])
    return TrainedSurrogate(model.eval().cpu(), config, metrics, run.history)


@dataclass
class _Best:
    state: dict[str, Tensor]
    epoch: int = 0
    value: float = -math.inf


@dataclass
class _Run:
    """What one training run holds together."""

    config: SurrogateConfig
    dataset: Dataset
    sequences: TrainingSequences
    model: Surrogate
    device: torch.device
    reporter: Reporter
    history: list[dict[str, float]] = field(default_factory=list)

    def tick(self) -> None:
        """Shows the finished epochs, and hears of a cancel."""
        self.reporter.progress(len(self.history), self.config.epochs, "epoch")

    def evaluate(self, split: Split) -> RankingMetrics:
        self.model.eval()
        return evaluate_ranking(
            self.model.scores,
            build_questions(self.dataset, split),
            n_items=self.dataset.n_items,
            max_length=self.config.max_length,
            device=self.device,
            on_chunk=self.tick,
        )

    def snapshot(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.model.state_dict().items()}


def _train(run: _Run) -> _Best:
    config = run.config
    generator = np.random.default_rng(config.seed)
    frequencies = np.bincount(run.sequences.items, minlength=run.dataset.n_items)
    loss = make_loss(config, frequencies.astype(np.int64), run.device)
    optimizer = torch.optim.AdamW(
        run.model.parameters(),
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=True,
    )
    has_validation = run.dataset.has(Split.VALID)
    if not has_validation:
        run.reporter.event("no_validation_split", epochs=config.epochs)
    best = _Best(run.snapshot())
    for epoch in range(1, config.epochs + 1):
        row = {"epoch": float(epoch), "loss": _epoch(run, loss, optimizer, generator)}
        if has_validation:
            row["valid_ndcg@10"] = run.evaluate(Split.VALID).values[STOPPING_METRIC]
            run.reporter.metric("valid_ndcg@10", row["valid_ndcg@10"])
        run.reporter.metric("loss", row["loss"])
        run.history.append(row)
        run.tick()
        if not has_validation:
            continue
        if row["valid_ndcg@10"] > best.value:
            best = _Best(run.snapshot(), epoch, row["valid_ndcg@10"])
        elif epoch - best.epoch >= config.patience:
            run.reporter.event("early_stopping", epoch=epoch, best_epoch=best.epoch)
            run.reporter.progress(epoch, epoch, "epoch")  # nothing is left to do
            break
    if not has_validation:
        best = _Best(run.snapshot(), config.epochs)
    return best


def _epoch(
    run: _Run, loss: Loss, optimizer: torch.optim.Optimizer, generator: np.random.Generator
) -> float:
    """One pass over the training positions; gives back the mean loss over them."""
    run.model.train()
    total, count = 0.0, 0
    positions = run.sequences.positions
    for batch in bucketed_batches(positions, run.config.batch_tokens, generator):
        run.tick()
        inputs, targets, weights = (part.to(run.device) for part in run.sequences.batch(batch))
        real = weights.bool()
        states = run.model(inputs)[real]
        value = loss(run.model, states, targets[real])
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total += value.item() * len(states)
        count += len(states)
    if not math.isfinite(total):
        raise DealrecError(
            "The surrogate's training loss is no longer a number. Use a lower learning rate.",
            code="training_diverged",
            title="Training diverged",
        )
    return total / count
