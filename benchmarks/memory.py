"""The memory that work with a language model takes, beside the estimate by which jobs are refused.

Counted are the process's own pages and the pages of the weights' files that it maps, not libraries.

``python -m benchmarks.memory`` on SmolLM2-135M; ``--model FILE.gguf`` or another name or folder. Each kind of
work runs in a process of its own. The estimate is that of :func:`dealrec.config.model_memory.working_bytes`.
"""

import argparse
import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks._report import Target, finish
from dealrec.config.effort import EffortConfig
from dealrec.config.finetune import FinetuneConfig
from dealrec.config.model_checks import model_facts
from dealrec.config.model_memory import working_bytes
from dealrec.config.model_use import ModelUse, trained_model
from dealrec.config.prune import PruneConfig
from dealrec.config.runtime import environment_runtime
from dealrec.config.stages import STAGES, StageName

if TYPE_CHECKING:
    from dealrec.language_models import LoadedLanguageModel

_LOOK_SECONDS = 0.02
_TOO_LITTLE, _TOO_MUCH = 0.8, 1.6
KINDS = ("effort", "training", "training, checkpointed", "training on all tokens")


def main() -> None:
    """Measure each kind of work, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--tokens", type=int, default=512, help="tokens that are read together")
    parser.add_argument("--kind", choices=KINDS, help="only this one, in this process")
    arguments = parser.parse_args()
    if arguments.kind is not None:
        print(json.dumps(_measured(arguments.model, arguments.tokens, arguments.kind)))
        return
    facts, targets = model_facts(arguments.model), []
    assert facts is not None
    for kind in KINDS:
        options = ["--model", arguments.model, "--tokens", str(arguments.tokens), "--kind", kind]
        answer = subprocess.run(
            [sys.executable, "-m", "benchmarks.memory", *options], capture_output=True, check=True
        ).stdout
        peak = int(json.loads(answer.splitlines()[-1]))
        estimate = working_bytes(facts, _use(arguments.model, arguments.tokens, kind))
        ratio = estimate / peak
        print(f"{kind:24} {peak / 1e9:.2f} GB, estimated {estimate / 1e9:.2f} GB", flush=True)
        asked = f"{_TOO_LITTLE} to {_TOO_MUCH}"
        held = _TOO_LITTLE <= ratio <= _TOO_MUCH
        targets.append(Target(f"{kind}: estimate over peak", asked, ratio, held))
    finish("memory", targets)


def _config(model: str, tokens: int, kind: str) -> FinetuneConfig:
    """A step of samples of 128 tokens."""
    options = {
        "model": model,
        "batch_size": max(1, tokens // 128),
        "max_tokens": 128,
        "activation_checkpointing": kind.endswith("checkpointed"),
        "loss_on": "all" if kind.endswith("all tokens") else "answer",
    }
    return FinetuneConfig.parse(options)


def _effort(model: str, tokens: int) -> EffortConfig:
    return EffortConfig.parse({"model": model, "batch_tokens": tokens, "max_tokens": 128})


def _use(model: str, tokens: int, kind: str) -> ModelUse:
    if kind != "effort":
        return replace(trained_model(_config(model, tokens, kind)), tokens=tokens)
    use = STAGES[StageName.EFFORT].language_model(PruneConfig(effort=_effort(model, tokens)))
    assert use is not None
    return use


def _measured(model: str, tokens: int, kind: str) -> int:
    """Return the most bytes that this process held while it did the work."""
    peak, ended = [0], threading.Event()

    def look() -> None:
        while not ended.wait(_LOOK_SECONDS):
            peak[0] = max(peak[0], _resident())

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    loaded = _work(model, tokens, kind)
    ended.set()
    thread.join()
    return peak[0] + _mapped_weights(loaded)


def _work(model: str, tokens: int, kind: str) -> "LoadedLanguageModel":
    from dealrec.effort.gradients import GradientMeter
    from dealrec.finetune.trainer import LoraTraining
    from dealrec.language_models import load_language_model
    from dealrec.language_models.tokens import Encoder
    from dealrec.model_check import check_samples
    from dealrec.recommenders.registry import make_recommender
    from dealrec.runtime import apply_runtime

    device = apply_runtime(environment_runtime())
    samples = check_samples(max(1, tokens // 128))
    loaded = load_language_model(model, dtype="float32", device=device)
    if kind == "effort":
        encoded = Encoder.for_model(loaded, 128).encode(samples)
        GradientMeter(loaded, _effort(model, tokens)).norms(encoded)
        return loaded
    config = _config(model, tokens, kind)
    training = LoraTraining(make_recommender(loaded, config), samples, config)
    training.tokens_at_once = max(tokens, training.tokens_at_once)
    training.advance()
    return loaded


def _mapped_weights(_held: "LoadedLanguageModel") -> int:
    """The bytes of weights in memory that are pages of files: they stay while the model is held."""
    maps = psutil.Process().memory_maps(grouped=True)
    return sum(int(place.rss) for place in maps if place.path.endswith(".safetensors"))


def _resident() -> int:
    """The process's own memory without mapped files, as the worker looks at it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    own = (line for line in lines if line.startswith(("RssAnon:", "RssShmem:")))
    return 1024 * sum(int(line.split()[1]) for line in own)


if __name__ == "__main__":
    main()
