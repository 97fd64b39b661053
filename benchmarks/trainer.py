"""Our trainer beside TRL's ``SFTTrainer``: the same settings, tokens, batches and steps, in one process.

``python -m benchmarks.trainer`` on SmolLM2-135M; ``--model FILE.gguf`` or another name or folder.
"""

import argparse
from importlib.metadata import version

from benchmarks._report import Target, finish
from benchmarks._trainer import Timed, made_up_samples, ours, trls
from dealrec.config.finetune import FinetuneConfig, LoraSettings
from dealrec.config.runtime import environment_runtime
from dealrec.language_models import load_language_model
from dealrec.runtime import apply_runtime


def main() -> None:
    """Train by turns, and compare the better of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--history", type=int, default=8, help="items of a sample")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--repeats", type=int, default=1)
    arguments = parser.parse_args()
    device = apply_runtime(environment_runtime())
    config = FinetuneConfig(
        model=arguments.model,
        dtype=arguments.dtype,
        batch_size=arguments.batch,
        lora=LoraSettings(dropout=0),
    )
    loaded = load_language_model(config.model, dtype=config.dtype, device=device)
    samples = made_up_samples(arguments.samples, arguments.history)
    ours(loaded, samples[: arguments.batch], config)  # the first step of a process is slower
    print(f"trl {version('trl')}, transformers {version('transformers')}, device {device.type}")
    found: dict[str, list[Timed]] = {"ours": [], "trl": []}
    for _ in range(arguments.repeats):
        for name, way in (("ours", ours), ("trl", trls)):
            timed = way(loaded, samples, config)
            found[name].append(timed)
            print(
                f"{name:5} {len(timed.losses)} steps, {timed.tokens:,} tokens, {timed.cpu:.1f} CPU s, "
                f"{timed.wall:.1f} s, {timed.rate(device.type):.1f} tokens/s; "
                f"losses {timed.losses[0]:.4f} … {timed.losses[-1]:.4f}",
                flush=True,
            )
    best = {name: max(one.rate(device.type) for one in runs) for name, runs in found.items()}
    pairs = zip(found["ours"][0].losses, found["trl"][0].losses, strict=True)
    apart = max(abs(a - b) / b for a, b in pairs)
    ratio = best["ours"] / best["trl"]
    finish(
        "trainer",
        [
            Target(f"{loaded.name}: tokens a second, ours", "reported", best["ours"], None),
            Target(f"{loaded.name}: tokens a second, TRL", "reported", best["trl"], None),
            Target(f"{loaded.name}: ours over TRL's", ">= 1.0", ratio, ratio >= 1.0),
            Target(f"{loaded.name}: losses apart, relative", "<= 0.02", apart, apart <= 0.02),
        ],
    )


if __name__ == "__main__":
    main()
