"""Effort: exact, as fast as the tokens allow, in constant memory.

``python -m benchmarks.effort --data FOLDER`` on SmolLM2-135M and prompts of Games.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks._effort import Batch, Games, Timing, race, relative_error
from benchmarks._effort_candidates import agreements
from benchmarks._effort_gpu import gpu_targets
from benchmarks._effort_memory import peak_in_own_process
from benchmarks._report import Target, finish, timed
from dealrec.config.effort import EffortConfig
from dealrec.config.runtime import environment_runtime
from dealrec.effort.gradients import GradientMeter
from dealrec.language_models import LoadedLanguageModel, load_language_model
from dealrec.language_models.tokens import Encoder
from dealrec.metrics.correlation import spearman
from dealrec.runtime import apply_runtime

MODEL = "smollm2-135m"
FACTORS = (2, 4, 8)
COMPARED = 48
"""Samples in bfloat16, which a CPU without instructions for it takes seconds each for."""


def main() -> None:
    """Run all parts, or those asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--batches", type=int, default=6, help="of 2,048 tokens, timed")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--parts", nargs="+", default=["speed", "bfloat16", "memory", "candidates"])
    arguments = parser.parse_args()
    device = apply_runtime(environment_runtime())
    loaded = load_language_model(MODEL, dtype="float32", device=device)
    encoder = Encoder(loaded.tokenizer, EffortConfig().max_tokens)
    targets: list[Target] = []
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        with timed() as watch:
            games = Games.load(arguments.data, scratch, EffortConfig())
        print(f"ingest and plan of {games.plan.count:,} samples: {watch.seconds:.1f} s", flush=True)
        batches = games.batches(encoder, arguments.batches)
        if "speed" in arguments.parts:
            targets += speed(loaded, games, batches, arguments.repeats)
        if "bfloat16" in arguments.parts:
            targets += half_precision(loaded, games, batches)
        if "memory" in arguments.parts:
            targets += memory(scratch / "dataset")
        if "candidates" in arguments.parts:
            targets += candidates(arguments.data, scratch, loaded)
        targets += gpu_targets(games)
    finish("effort", targets)


def speed(
    loaded: LoadedLanguageModel, games: Games, batches: list[Batch], repeats: int
) -> list[Target]:
    """The same batches through four ways; norms of three of them are compared."""
    timings = race(loaded, games, batches, repeats)
    tokens = sum(len(sample) for batch in batches for sample in batch)
    padded = sum(len(batch) * max(map(len, batch)) for batch in batches)
    print(
        f"{sum(map(len, batches))} samples, {tokens:,} tokens, {padded / tokens:.3f} with padding"
    )
    wall = {name: sum(timing.wall.values()) for name, timing in timings.items()}
    for name, timing in timings.items():
        seconds, cpu = wall[name], sum(timing.cpu.values())
        whole = seconds / padded * games.padded_tokens
        print(
            f"{name:24} {seconds:8.2f} s {tokens / seconds:8.0f} tokens/s {cpu:8.2f} CPU s;"
            f" all of Games, extrapolated: {whole:,.0f} s",
            flush=True,
        )
    expected = _norms(timings["one by one"])
    error = max(
        relative_error(_norms(timings[name]), expected)
        for name in ("effort", "effort, prefix reused")
    )
    overhead = wall["effort"] / wall["bare forward"]
    gain = wall["one by one"] / wall["effort, prefix reused"]
    on_gpu = loaded.device.type == "cuda"
    return [
        Target(
            "batched norms against one-by-one autograd, relative", "<= 1e-4", error, error <= 1e-4
        ),
        Target("time against the bare no-grad forward", "<= 1.3", overhead, overhead <= 1.3),
        Target(
            "throughput against one by one, prefix reused",
            ">= 25" if on_gpu else ">= 1.8",
            gain,
            gain >= (25 if on_gpu else 1.8),
        ),
    ]


def half_precision(loaded: LoadedLanguageModel, games: Games, batches: list[Batch]) -> list[Target]:
    """Ranks in bfloat16 against float32, on a spread of a few dozen samples."""
    every = sorted((sample for batch in batches for sample in batch), key=len)
    samples = [every[place * len(every) // COMPARED] for place in range(COMPARED)]
    half = load_language_model(MODEL, dtype="bfloat16", device=loaded.device)
    plan, found = games.plan, {}
    for name, model in (("float32", loaded), ("bfloat16", half)):
        meter = GradientMeter(model, EffortConfig(), plan.prefix, int(plan.tokens.max()))
        with timed() as watch:
            parts = [meter.norms(samples[i : i + 8]) for i in range(0, len(samples), 8)]
        found[name] = torch.cat(parts).cpu().double().numpy()
        print(
            f"{name}: {len(samples)} samples in {watch.seconds:.1f} s; prefix {meter.prefix_reuse}"
        )
    agreement = spearman(found["bfloat16"], found["float32"])
    assert agreement is not None
    off = float(np.median(np.abs(found["bfloat16"] / found["float32"] - 1)))
    print(f"median relative difference {off:.4f}", flush=True)
    return [Target("bfloat16, Spearman with float32", ">= 0.995", agreement, agreement >= 0.995)]


def memory(dataset: Path) -> list[Target]:
    """Peak memory at 256 and at 2,048 samples.

    More samples fill batches of short ones better, and the allocator meets more shapes: the peak
    may rise by the size of a batch, never with the count (which would be eightfold).
    """
    few, many = (peak_in_own_process(dataset, samples) for samples in (256, 2048))
    print(f"peak memory: {few:.0f} MiB at 256 samples, {many:.0f} MiB at 2,048", flush=True)
    return [
        Target(
            "peak memory at 2,048 samples over that at 256",
            "<= 1.15",
            many / few,
            many <= 1.15 * few,
        )
    ]


def candidates(data: Path, scratch: Path, loaded: LoadedLanguageModel) -> list[Target]:
    """How near the coreset from a pool comes to that of the full method."""
    rows = agreements(data, scratch, loaded, users=600, budget=48, factors=FACTORS)
    targets = []
    for row in rows:
        print(f"{row.what:28} {row.measured:6,} measured, Jaccard {row.jaccard:.3f}")
        exact = row.what == "all candidates"
        targets.append(
            Target(
                f"{row.what}: Jaccard with the full method",
                "= 1" if exact else "reported",
                row.jaccard,
                row.jaccard == 1 if exact else None,
            )
        )
    return targets


def _norms(timing: Timing) -> torch.Tensor:
    return torch.cat([timing.results[number].double() for number in sorted(timing.results)])


if __name__ == "__main__":
    main()
