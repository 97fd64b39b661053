"""Effort on a GPU: all samples in one run, tokens a second, and the share of its peak that is used."""

from typing import Any

import torch

from benchmarks._effort import PROMPT, Games
from benchmarks._report import Target
from dealrec.config.effort import EffortConfig
from dealrec.data.prompter import Prompter
from dealrec.effort.scoring import measure_effort
from dealrec.language_models import load_language_model

PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
"""Dense bfloat16 operations a second, from the data sheets (SXM)."""
BATCH_TOKENS = 65_536


def gpu_targets(games: Games) -> list[Target]:
    """The figures of a GPU; nothing is claimed without one."""
    names = ("samples of Games in one run on a GPU", "tokens a second", "model FLOP utilisation")
    if not torch.cuda.is_available():
        return [Target(name, "reported", None, None) for name in names]
    loaded = load_language_model("smollm2-135m", dtype="bfloat16", device="cuda")
    prompter = Prompter(games.dataset, games.samples, PROMPT)
    config = EffortConfig(dtype="bfloat16", batch_tokens=BATCH_TOKENS)
    result = measure_effort(loaded, prompter.prompt, games.plan.count, config).diagnostics
    operations = _operations(loaded.model, games, result["prefix_tokens"])
    device = torch.cuda.get_device_name()
    peak = next((value for name, value in PEAK.items() if name in device), None)
    used = operations / result["seconds"] / peak if peak else None
    measured = (float(result["samples"]), result["tokens_per_second"], used)
    return [
        Target(name, "reported", value, None) for name, value in zip(names, measured, strict=True)
    ]


def _operations(model: Any, games: Games, prefix: int) -> float:
    """The operations that the method needs, padding and attention products not counted.

    Two for every weight and token: forward through all layers, back through the last, forward and
    back through the output layer where the loss looks.
    """
    layers = [sum(p.numel() for p in layer.parameters()) for layer in model.model.layers]
    output = model.get_output_embeddings().weight.numel()
    tokens, answers = int(games.plan.tokens.sum()), int(games.plan.answer_tokens.sum())
    own = tokens - prefix * len(games.plan.tokens)
    products: int = sum(layers[:-1]) * own + 2 * layers[-1] * tokens + 2 * output * answers
    return 2.0 * products
