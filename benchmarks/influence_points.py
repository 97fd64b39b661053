"""Where, and with which damping, is influence taken? Fidelity of the scores that select samples.

``python -m benchmarks.influence_points --data FOLDER --keep FILE [--users N] [--left-out N]`` with
``interactions.csv.gz`` and ``items.csv.gz``. On a problem of some users, samples are left out one at a
time and the measured parameters are optimised again; for every parameter set and damping, Spearman
correlations with scores at the trained parameters, after Newton steps towards the minimum, and at the
minimum. Then the linear datamodeling score of the item vectors' rows, over random halves of more users.
One thread. Each finished row is a line of JSON in ``--keep``, and is not measured again.
"""

import argparse
import json
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._report import Target, finish
from dealrec.config import InfluenceConfig, InfluenceParameters, PruneConfig, SurrogateConfig
from dealrec.config.runtime import Runtime
from dealrec.data.dataset import Dataset
from dealrec.data.ingest import ingest
from dealrec.data.samples import Samples, build_samples
from dealrec.errors import InputError
from dealrec.influence.fidelity.datamodeling import FidelityScale, datamodeling_scores
from dealrec.influence.fidelity.halves import small_problem
from dealrec.influence.fidelity.leave_one_out import correlation, leave_one_out
from dealrec.influence.fidelity.predictors import Predictor
from dealrec.influence.scoring import score_influence
from dealrec.progress import SILENT
from dealrec.surrogates.storage import TrainedSurrogate
from dealrec.surrogates.training import train_surrogate

SETS = (InfluenceParameters.ITEM_EMBEDDING, InfluenceParameters.ATTENTION_OUTPUT)
DAMPINGS = (0.01, 0.1, 1.0)
CASES = (
    *product((0, 1), SETS[:1], DAMPINGS),
    *product((0, 1), SETS[1:], DAMPINGS[::-1]),
    (0, InfluenceParameters.ITEM_EMBEDDING, 0.001),
)
"""Seeds of the surrogate, parameter sets and dampings; ``attention_output`` with small dampings takes long.

``last_block`` and ``all`` hold a ReLU. The risk has kinks in these parameters, so its gradient does not
vanish where it is least, and leaving samples out cannot be measured to the end.
"""
ONE = Runtime(threads=1, device="cpu")
POINTS = ("trained", "continued", "at_minimum")


def main() -> None:
    """Print the table, and the correlations of the scores used as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--left-out", type=int, default=40)
    parser.add_argument("--halves", type=int, default=20)
    parser.add_argument("--halves-users", type=int, default=1500)
    options = parser.parse_args()
    rows = _kept(options.keep)
    with tempfile.TemporaryDirectory(prefix="dealrec-bench-") as name:
        data, items = options.data / "interactions.csv.gz", options.data / "items.csv.gz"
        whole = ingest(data, items=items, out=Path(name)).dataset
        dataset = small_problem(whole, options.users)
        samples = build_samples(dataset)
        surrogates = {
            seed: train_surrogate(dataset, SurrogateConfig(hidden_size=16, seed=seed), runtime=ONE)
            for seed in sorted({seed for seed, _, _ in CASES})
        }
        for seed, parameters, damping in CASES:
            case = {
                "parameters": parameters.value,
                "damping": damping,
                "seed": seed,
                "users": options.users,
                "left_out": options.left_out,
            }
            if not any(case.items() <= row.items() for row in rows):
                rows.append(case | _measured(dataset, samples, surrogates[seed], case))
                with options.keep.open("a") as lines:
                    lines.write(json.dumps(rows[-1]) + "\n")
                print(_table(rows)[-1], flush=True)
        halves = FidelityScale(halves=options.halves, seeds=1, queries=300, surrogates=1)
        datamodeling = datamodeling_scores(
            small_problem(whole, options.halves_users),
            PruneConfig.parse({"effort": None}),
            _predictors(),
            halves,
            options.keep.with_suffix(""),
            SILENT,
        )
    print("\n".join(_table(rows)), flush=True)
    for kind, scores in datamodeling.scores.items():
        print(f"\nLinear datamodeling score, {kind} queries, {datamodeling.counts}:", flush=True)
        for name, interval in scores.items():
            print(f"| {name} | {interval} |", flush=True)
    finish("influence_points", _targets(rows))


def _predictors() -> list[Predictor]:
    """Return the item vectors' influence at every damping, as trained and continued."""
    return [
        Predictor(
            f"item_embedding, damping {damping}, {'continued' if steps else 'as trained'}",
            InfluenceConfig(damping=damping, newton_steps=steps),
        )
        for damping in DAMPINGS
        for steps in (0, InfluenceConfig().newton_steps)
    ]


def _kept(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def _measured(
    dataset: Dataset, samples: Samples, surrogate: TrainedSurrogate, case: dict[str, Any]
) -> dict[str, Any]:
    """Measure one row; where the retraining does not converge, it says so instead."""
    started = time.perf_counter()
    further = InfluenceConfig(parameters=case["parameters"], damping=case["damping"])
    config = further.model_copy(update={"newton_steps": 0})
    try:
        found = leave_one_out(dataset, samples, surrogate, config, case["left_out"])
    except InputError as error:
        return {"error": str(error)}
    middle = time.perf_counter()
    continued = score_influence(dataset, samples, surrogate, further, runtime=ONE)
    return {
        "actual": found.actual.tolist(),
        "trained": found.used.tolist(),
        "continued": continued.scores[found.samples].tolist(),
        "at_minimum": found.at_minimum.tolist(),
        "continuation": continued.diagnostics["continuation"],
        "seconds": [round(middle - started, 1), round(time.perf_counter() - middle, 1)],
    }


def _table(rows: list[dict[str, Any]]) -> list[str]:
    """Return a row for each parameter set, damping and surrogate seed."""
    lines = [
        "| parameters | damping | seed | trained | continued | at the minimum |",
        "|" + "---|" * 6,
    ]
    for row in rows:
        head = f"| {row['parameters']} | {row['damping']} | {row['seed']} "
        if "error" in row:
            lines.append(f"{head}| not converged | | |")
            continue
        actual = np.array(row["actual"])
        cells = [str(correlation(np.array(row[name]), actual)) for name in POINTS]
        lines.append(f"{head}| {' | '.join(cells)} |")
    return lines


def _targets(rows: list[dict[str, Any]]) -> list[Target]:
    found = []
    for row in rows:
        if "error" not in row:
            name = f"{row['parameters']}, damping {row['damping']}, seed {row['seed']}"
            value = correlation(np.array(row["trained"]), np.array(row["actual"])).mean
            found.append(Target(f"{name}, as trained", "-", value, None))
    return found


if __name__ == "__main__":
    main()
