"""Games prompts for the effort benchmark, and the plain method it is set beside."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from dealrec.config import PromptConfig
from dealrec.config.effort import EffortConfig
from dealrec.data.dataset import Dataset
from dealrec.data.ingest import ingest
from dealrec.data.prompter import Prompter
from dealrec.data.samples import Samples, build_samples
from dealrec.effort.gradients import GradientMeter
from dealrec.language_models.batch_plan import BatchPlan, plan_samples
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.language_models.tokens import EncodedSample, Encoder, padded

PROMPT = PromptConfig(item_noun="game")
Batch = list[EncodedSample]


@dataclass(frozen=True)
class Games:
    """The data set, its samples, and the batches of a whole effort run."""

    dataset: Dataset
    samples: Samples
    plan: BatchPlan

    @classmethod
    def load(cls, data: Path, scratch: Path, config: EffortConfig) -> "Games":
        """Ingest the folder and plan all its samples."""
        items, out = data / "items.csv.gz", scratch / "dataset"
        dataset = ingest(data / "interactions.csv.gz", items=items, out=out).dataset
        samples = build_samples(dataset)
        return cls(dataset, samples, plan_samples(dataset, samples, PROMPT, config))

    @property
    def padded_tokens(self) -> int:
        """The tokens of all batches, padding included."""
        first = self.plan.bounds[:-1]
        sizes = self.plan.bounds[1:] - first
        return int((self.plan.tokens[first] * sizes).sum())

    def batches(self, encoder: Encoder, count: int) -> list[Batch]:
        """``count`` batches of the run, evenly spread from its longest to its shortest."""
        prompter = Prompter(self.dataset, self.samples, PROMPT)
        numbers = [(2 * i + 1) * self.plan.batches // (2 * count) for i in range(count)]
        return [
            encoder.encode([prompter.prompt(index) for index in self.plan.batch(number)])
            for number in numbers
        ]


def one_by_one(loaded: LoadedLanguageModel, batch: Batch) -> Tensor:
    """[b] effort as the published code takes it: a sample, a pass, all its logits, autograd."""
    weight = loaded.model.model.layers[-1].self_attn.v_proj.weight.requires_grad_()
    norms = []
    for sample in batch:
        ids = torch.tensor([sample.ids], device=loaded.device)
        labels = ids.clone()
        labels[0, : sample.answer] = -100
        loss = loaded.model(input_ids=ids, labels=labels).loss
        (gradient,) = torch.autograd.grad(loss, weight)
        norms.append(gradient.double().norm())
    weight.requires_grad_(requires_grad=False)
    return torch.stack(norms)


def bare_forward(loaded: LoadedLanguageModel, batch: Batch) -> Tensor:
    """Final hidden states without a graph, without logits, without a reused prefix."""
    tokens = padded(batch, loaded.tokenizer.pad_token_id, loaded.device)
    with torch.no_grad():
        hidden: Tensor = loaded.model.model(input_ids=tokens, use_cache=False).last_hidden_state
    return hidden


@dataclass
class Timing:
    """Seconds and results of one way, batch by batch; the fastest of the repetitions counts."""

    wall: dict[int, float] = field(default_factory=dict)
    cpu: dict[int, float] = field(default_factory=dict)
    results: dict[int, Tensor] = field(default_factory=dict)

    def run(self, number: int, way: Callable[[Batch], Tensor], batch: Batch) -> None:
        """Time ``way`` on one batch once more."""
        wall, cpu = time.perf_counter(), time.process_time()
        self.results[number] = way(batch)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds = time.perf_counter() - wall, time.process_time() - cpu
        self.wall[number] = min(seconds[0], self.wall.get(number, seconds[0]))
        self.cpu[number] = min(seconds[1], self.cpu.get(number, seconds[1]))


def race(
    loaded: LoadedLanguageModel, games: Games, batches: list[Batch], repeats: int
) -> dict[str, Timing]:
    """All ways on the same batches, taking turns, so that a busy machine is busy for all."""
    plan, config = games.plan, EffortConfig()
    plain = GradientMeter(loaded, config)
    reusing = GradientMeter(loaded, config, plan.prefix, int(plan.tokens.max()))
    assert reusing.prefix_tokens, reusing.prefix_reuse
    ways: dict[str, Callable[[Batch], Tensor]] = {
        "bare forward": lambda batch: bare_forward(loaded, batch),
        "effort": plain.norms,
        "effort, prefix reused": reusing.norms,
        "one by one": lambda batch: one_by_one(loaded, batch),
    }
    timings = {name: Timing() for name in ways}
    for way in ways.values():
        way(batches[-1][:2])  # the first call of each is slower
    for _ in range(repeats):
        for number, batch in enumerate(batches):
            for name, way in ways.items():
                timings[name].run(number, way, batch)
    return timings


def relative_error(found: Tensor, expected: Tensor) -> float:
    """The largest of ``|found - expected| / expected``."""
    return float(((found.double() - expected.double()).abs() / expected.double()).max())
