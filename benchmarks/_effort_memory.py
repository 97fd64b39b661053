"""Peak memory of an effort run in a process of its own: ``python -m benchmarks._effort_memory``."""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
from torch import nn

from benchmarks._effort import PROMPT
from dealrec.config.effort import EffortConfig
from dealrec.data.dataset import Dataset
from dealrec.data.prompter import Prompter
from dealrec.data.samples import build_samples
from dealrec.effort.scoring import measure_effort
from dealrec.language_models import load_language_model

LAYERS = 4
DISTINCT = 256


def peak_in_own_process(dataset: Path, samples: int) -> float:
    """MiB at the worst moment of measuring ``samples`` samples of a stored data set.

    Loading the model is left out: its peak would hide that of the run.
    """
    command = [sys.executable, "-m", "benchmarks._effort_memory", str(dataset), str(samples)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Measure, and print the peak.

    Of SmolLM2's 30 layers 4 run: those below the last keep nothing, whatever their number. Samples
    are 256 distinct ones, over and over, so that the longest batch is the same at any count.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("dataset", type=Path)
    parser.add_argument("samples", type=int)
    arguments = parser.parse_args()
    dataset = Dataset.load(arguments.dataset)
    every = build_samples(dataset)
    chosen = np.random.default_rng(0).choice(len(every), DISTINCT, replace=False)
    prompter = Prompter(dataset, every, PROMPT)
    loaded = load_language_model("smollm2-135m", dtype="float32", device="cpu")
    decoder = loaded.model.model
    decoder.layers = nn.ModuleList(list(decoder.layers)[:LAYERS])
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew, see proc(5)
    measure_effort(
        loaded,
        lambda index: prompter.prompt(int(chosen[index % DISTINCT])),
        arguments.samples,
        EffortConfig(),
    )
    print(_peak_mib())


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
