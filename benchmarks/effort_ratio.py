"""Effort beside a loop over single samples and beside the bare forward pass, on any language model.

``python -m benchmarks.effort_ratio`` on SmolLM2-135M; ``--model FILE.gguf`` or another name or folder. The
samples are made up, and seconds are those of the processor, so that a busy machine shows the same ratios.
``python -m benchmarks.effort`` measures the prompts of a real data set.
"""

import argparse
from collections.abc import Callable

from torch import Tensor

from benchmarks._effort import Batch, Timing, bare_forward, one_by_one, relative_error
from benchmarks._report import Target, finish
from benchmarks._trainer import made_up_samples
from dealrec.config.effort import EffortConfig
from dealrec.config.runtime import environment_runtime
from dealrec.effort.gradients import GradientMeter
from dealrec.language_models import load_language_model
from dealrec.language_models.tokens import Encoder, batches_by_tokens
from dealrec.runtime import apply_runtime


def main() -> None:
    """Measure the same batches by turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--history", type=int, default=8, help="items of a sample")
    parser.add_argument("--batch-tokens", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    device = apply_runtime(environment_runtime())
    loaded = load_language_model(arguments.model, dtype="float32", device=device)
    samples = made_up_samples(arguments.samples, arguments.history)
    encoded = Encoder.for_model(loaded, EffortConfig().max_tokens).encode(samples)
    lengths = [len(sample) for sample in encoded]
    batches = [
        [encoded[place] for place in places]
        for places in batches_by_tokens(lengths, arguments.batch_tokens)
    ]
    meter = GradientMeter(loaded, EffortConfig())
    ways: dict[str, Callable[[Batch], Tensor]] = {
        "bare forward": lambda batch: bare_forward(loaded, batch),
        "effort": meter.norms,
        "one by one": lambda batch: one_by_one(loaded, batch),
    }
    timings = {name: Timing() for name in ways}
    for way in ways.values():
        way(batches[-1][:2])  # the first call of each is slower
    for _ in range(arguments.repeats):
        for number, batch in enumerate(batches):
            for name, way in ways.items():
                timings[name].run(number, way, batch)
    seconds = {name: sum(timing.cpu.values()) for name, timing in timings.items()}
    print(f"{loaded.name}: {len(samples)} samples, {sum(lengths):,} tokens, {len(batches)} batches")
    for name, spent in seconds.items():
        print(f"{name:14} {spent:8.2f} CPU s {sum(lengths) / spent:8.1f} tokens/s", flush=True)
    error = max(
        relative_error(timings["effort"].results[number], timings["one by one"].results[number])
        for number in range(len(batches))
    )
    gain = seconds["one by one"] / seconds["effort"]
    overhead = seconds["effort"] / seconds["bare forward"]
    finish(
        "effort_ratio",
        [
            Target(f"{loaded.name}: norms against autograd", "<= 1e-4", error, error <= 1e-4),
            Target(f"{loaded.name}: effort over one by one", ">= 1.0", gain, gain >= 1.0),
            Target(f"{loaded.name}: time over the bare forward", "reported", overhead, None),
        ],
    )


if __name__ == "__main__":
    main()
