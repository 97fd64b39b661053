"""Does influence predict retraining for every surrogate? On a small problem whose structure is planted.

``python -m benchmarks.surrogate_fidelity [--models NAME,NAME]``: 200 users walk along a ring of 30 items, now
and then jumping. Each surrogate is trained on ten random halves of the users with two seeds. The halves of
surrogates with a graph have graphs of their own, while leave-one-out retraining holds the graph, so the
first measure sees what the scores hold fixed and the second does not.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks._report import Target, finish
from dealrec.config import PruneConfig
from dealrec.config.surrogate import SURROGATES
from dealrec.influence.fidelity.datamodeling import CEILING, COUNT, FidelityScale
from dealrec.influence.fidelity.measure import CONFIGURED, FidelityReport, measure_fidelity
from tests.dealrec.surrogates.data import ring_dataset

SURROGATE = {
    "hidden_size": 16,
    "max_length": 8,
    "epochs": 8,
    "batch_tokens": 128,
    "learning_rate": 0.01,
    "negatives": 30,
}
SCALE = FidelityScale(halves=10, seeds=2, queries=60, surrogates=2)


def main() -> None:
    """Print both measures of each surrogate, and the figures as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default=",".join(SURROGATES))
    targets = []
    for model in parser.parse_args().models.split(","):
        report = measured(model)
        print(f"{model}\n" + "\n".join(report.lines()), flush=True)
        targets += figures(model, report)
    finish("surrogate_fidelity", targets)


def measured(model: str) -> FidelityReport:
    """Measure the default influence of one surrogate."""
    config = PruneConfig.parse({"effort": None, "surrogate": {**SURROGATE, "model": model}})
    with tempfile.TemporaryDirectory(prefix="dealrec-bench-") as folder:
        return measure_fidelity(
            ring_dataset(users=200, items=30),  # type: ignore[no-untyped-call]
            config,
            Path(folder),
            scale=SCALE,
            left_out=12,
            small_users=60,
        )


def figures(model: str, report: FidelityReport) -> list[Target]:
    """Return the means of both measures."""
    found = {}
    if report.leave_one_out is not None:
        found["leave-one-out, the scores used"] = report.leave_one_out.used.mean
        found["leave-one-out, at the minimum"] = report.leave_one_out.at_minimum.mean
    for kind, scores in report.datamodeling.scores.items():
        for name in (CONFIGURED, COUNT, CEILING):
            found[f"{kind} queries, {name}"] = scores[name].mean
    return [Target(f"{model}: {name}", "-", value, None) for name, value in found.items()]


if __name__ == "__main__":
    main()
