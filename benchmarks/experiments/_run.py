"""One comparison of an experiment, whose scores and runs are kept and whose table is printed."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks._report import device_text
from benchmarks.experiments._problem import PROMPT, scores_of
from dealrec.comparison.preparing import Place
from dealrec.comparison.results import ComparisonReport
from dealrec.comparison.running import compare
from dealrec.comparison.runs import select_runs
from dealrec.config import EvaluationConfig, FinetuneConfig, LoraSettings
from dealrec.config.comparison import ComparisonConfig
from dealrec.config.runtime import environment_runtime
from dealrec.config.stages import StageName
from dealrec.data.dataset import Dataset
from dealrec.terminal import stage_display

FINETUNE = FinetuneConfig(
    epochs=2, learning_rate=1e-3, lora=LoraSettings(last_layers=2, dropout=0.0)
)
EVALUATION = EvaluationConfig(users=300, ranking_users=0)
"""A ranking for so few users would show nothing, so NLL alone is compared."""


def arguments(purpose: str) -> argparse.ArgumentParser:
    """Make the parser of the arguments that all experiments share."""
    parser = argparse.ArgumentParser(description=purpose)
    parser.add_argument("--data", type=Path, required=True, help="folder of Amazon Games")
    parser.add_argument("--work", type=Path, required=True, help="keeps scores, states and runs")
    parser.add_argument("--users", type=int, default=6000)
    parser.add_argument("--out", type=Path, help="folder of the reports; default: WORK/reports")
    return parser


def run(
    dataset: Dataset,
    selectors: Sequence[str | Mapping[str, Any]],
    options: argparse.Namespace,
    *,
    name: str,
    budgets: Sequence[int],
    seeds: int,
    config: Mapping[str, Any] | None = None,
    **changes: Any,
) -> ComparisonReport:
    """Compare on ``dataset``, print the table, and leave the report in its folder."""
    settings = {
        "prompt": PROMPT.model_dump(),
        "finetune": FINETUNE.model_dump(),
        "evaluation": EVALUATION.model_dump(),
        **(config or {}),
    }
    asked = {
        "budgets": list(budgets),
        "selectors": list(selectors),
        "seeds": seeds,
        "full_data_runs": 0,
        "despite_no_headroom": True,
        "config": settings,
        **changes,
    }
    comparison = ComparisonConfig.parse(asked).resolved(has_validation=True, has_test=True)
    runtime = environment_runtime()
    with stage_display() as stages:
        runs = [
            scores_of(
                dataset, comparison.of_run(run), comparison.needs(), options.work, runtime, stages
            )
            for run in range(comparison.most_runs)
        ]
        samples = runs[0][0]
        reporter = stages(StageName.COMPARE)
        keys, budgets = samples.keys(dataset).to_pylist(), comparison.resolved_budgets(len(samples))
        selected = select_runs(
            keys, lambda run: runs[run][1], comparison, budgets=budgets, reporter=reporter
        )
        report = compare(
            dataset,
            samples,
            selected,
            comparison,
            Place(
                out=(options.out or options.work / "reports") / name,
                checkpoint_dir=options.work / "runs",
                work=options.work,
                runtime=runtime,
                reporter=reporter,
            ),
            budgets=budgets,
            seconds=[seconds for _, _, seconds in runs],
        )
    print(f"\n{name}: {report.data.samples:,} samples, {report.data.held_out_users} users held out")
    print(f"device: {device_text()}")
    print_table(report)
    return report


def print_table(report: ComparisonReport) -> None:
    """Print a Markdown row for each selector and budget: NLL, its differences and preference."""
    differences = {
        (row.selector, row.budget, row.against): row
        for row in report.differences
        if row.metric == "nll"
    }
    controls = sorted({against for _, _, against in differences})
    print("| selector | budget | runs | NLL | " + " | ".join(f"less {c}" for c in controls), end="")
    print(" | preference |")
    print("|---" * (5 + len(controls)) + "|")
    for row in sorted(report.table, key=lambda row: (row.budget, row.metrics["nll"].mean)):
        cells = [row.selector, str(row.budget), str(row.runs), f"{row.metrics['nll'].mean:.3f}"]
        for control in controls:
            found = differences.get((row.selector, row.budget, control))
            cells.append(
                f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}], p {found.corrected_p_value:.3f}"
                if found
                else "–"
            )
        cells.append(f"{row.metrics['preference'].mean:.3f}")
        print(f"| {' | '.join(cells)} |")
    print(f"untrained: {report.untrained['nll']:.3f}")
    print(report.verdict, flush=True)
