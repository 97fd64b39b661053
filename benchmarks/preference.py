"""Does a selector's coreset teach more of what users choose than random selection does?

``python -m benchmarks.preference --data FOLDER --work WORK``; ``FOLDER`` has ``interactions.csv.gz`` and
``items.csv.gz``. One whole comparison with the recommender ``encoder`` over the frozen states of
SmolLM2-135M: headroom first, then every selector and control at both budgets. ``benchmarks/PROTOCOL.md``
says what is asked and what counts. What is finished is kept in ``WORK``, so a run that was stopped goes
on. The last line is JSON with the differences and their intervals.

``--trial design`` asks one half of the validation users, ``--trial test`` and ``--trial second`` the test
users with other seeds.

``--layers all`` trains every layer of the language model instead, which takes a card; at most 12
minutes of it with ``--budgets 2048 --curve "" --selectors influence_strata --seeds 5 --all 4096
--users 1000`` beside it.
"""

import argparse
import csv
import gzip
import json
from pathlib import Path
from typing import Any

from benchmarks._report import device_text, timed
from dealrec.comparison.results import ComparisonReport
from dealrec.config import ComparisonConfig, DataOptions
from dealrec.config.finetune import HistoryVector
from dealrec.config.runtime import Runtime
from dealrec.pipeline import compare
from dealrec.terminal import stage_display

SELECTORS = (
    "influence_strata",
    "influence",
    "thinned_influence",
    "window_popular",
    "round_robin",
    "importance_resampling",
)
SEEDS = {"design": 0, "test": 1000, "second": 2000}
"""The first seed of surrogates, selections and trainings: the trials share none."""


def main() -> None:
    """Run the comparison, and print its verdict, its findings and the differences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--trial", choices=sorted(SEEDS), default="design")
    parser.add_argument("--budgets", default="512,2048", help="counts or fractions, by commas")
    parser.add_argument("--selectors", default=",".join(SELECTORS), help="names, by commas")
    parser.add_argument(
        "--curve", default="128,512,2048,8192", help="counts or fractions, by commas"
    )
    parser.add_argument("--seeds", type=int, default=8, help="runs of every selector")
    parser.add_argument("--users", type=int, default=2000, help="held-out users who are asked")
    parser.add_argument(
        "--all", default=None, help="samples that stand for all, if all are too many"
    )
    parser.add_argument(
        "--split", default=None, help="default: `leave_one_out`, or the column `split` of the data"
    )
    parser.add_argument("--layers", default="0", help="last layers that are trained, or `all`")
    parser.add_argument("--noun", default="item", help="what an item is called in prompts")
    parser.add_argument(
        "--config",
        type=json.loads,
        default={},
        help='further options, e.g. {"selection": {"rounds": 12}}',
    )
    options = parser.parse_args()
    out = options.work / f"{options.data.name}-{options.trial}"
    columns = _columns(options.data)
    split = options.split or (None if "split" in columns else "leave_one_out")
    if "timestamp" not in columns and "window_popular" in options.selectors:
        print("The data have no `timestamp`, so `window_popular` is left out.", flush=True)
        options.selectors = ",".join(
            one for one in options.selectors.split(",") if one != "window_popular"
        )
    with timed() as watch, stage_display() as stages:
        report = compare(
            options.data / "interactions.csv.gz",
            items=options.data / "items.csv.gz",
            config=_config(options),
            data=DataOptions.parse({} if split is None else {"split": split}),
            out=out,
            work=options.work / "work",
            runtime=Runtime(threads=1),
            stages=stages,
        )
    print(report.verdict, *report.findings, sep="\n")
    print(json.dumps(_line(report, options, watch.seconds)), flush=True)


def _columns(data: Path) -> list[str]:
    with gzip.open(data / "interactions.csv.gz", "rt", encoding="utf-8") as file:
        return next(csv.reader(file))


def _config(options: argparse.Namespace) -> dict[str, Any]:
    seed = SEEDS[options.trial]
    preset = ComparisonConfig(budgets=(1,), selectors=("random",)).config.finetune
    assert preset is not None
    finetune = preset.model_dump(mode="json") | {"seed": seed}
    if options.layers != "0":
        last = None if options.layers == "all" else int(options.layers)
        finetune["lora"]["last_layers"] = last
        finetune["encoder"]["history"] = HistoryVector.PROMPT
    numbers, curve = (
        [json.loads(text) for text in texts.split(",") if text]
        for texts in (options.budgets, options.curve)
    )
    config: dict[str, dict[str, Any]] = {
        "prompt": {"item_noun": options.noun, "history_items": 10, "title_characters": 60},
        "surrogate": {"seed": seed},
        "selection": {"seed": seed},
        "finetune": finetune,
        "evaluation": {
            "split": "valid" if options.trial == "design" else "test",
            "users": options.users,
            "ranking_users": options.users,
        },
    }
    for part, further in options.config.items():
        config[part] = {**config.get(part, {}), **further}
    return {
        "budgets": numbers,
        "curve": curve,
        "selectors": options.selectors.split(","),
        "seeds": options.seeds,
        "full_data_runs": 3,
        "smallest_effect": 0.01,
        "full_data_samples": None if options.all is None else json.loads(options.all),
        "config": config,
    }


def _line(
    report: ComparisonReport, options: argparse.Namespace, seconds: float
) -> dict[str, object]:
    return {
        "name": "preference",
        "data": options.data.name,
        "trial": options.trial,
        "device": device_text(),
        "seconds": round(seconds),
        "metric": report.primary,
        "headroom": None if report.headroom is None else report.headroom.model_dump(mode="json"),
        "stopped": report.stopped,
        "exchanged": None if report.exchanged is None else report.exchanged.model_dump(mode="json"),
        "differences": [one.model_dump(mode="json") for one in report.differences],
    }


if __name__ == "__main__":
    main()
