"""The data that experiments run on, and the scores of its samples, kept between commands."""

import hashlib
from collections.abc import Set
from dataclasses import replace
from pathlib import Path

import numpy as np

from dealrec.config import PromptConfig, PruneConfig, Split
from dealrec.config.runtime import Runtime
from dealrec.config.selectors import Need
from dealrec.config.stages import JobOptions, Plan, StageName, plan_stages, scoring_stages
from dealrec.data.dataset import SPLIT_CODES, Dataset
from dealrec.data.ingest import ingest
from dealrec.data.samples import Samples, build_samples
from dealrec.influence.fidelity.halves import small_problem
from dealrec.progress import StageReporters
from dealrec.selection.interface import Scores
from dealrec.stages.scored import load_scores
from dealrec.stages.workspace import JobInput, Workspace

PROMPT = PromptConfig(item_noun="game", history_items=5, title_characters=60)
"""Short texts: what two cores can read many of."""


def load_problem(data: Path, users: int | None, work: Path) -> Dataset:
    """``users`` users of the folder's data, those with a validation item first; ``None``: all of them."""
    folder = work / "dataset"
    if not (folder / "dataset.json").is_file():
        ingest(data / "interactions.csv.gz", items=data / "items.csv.gz", out=folder)
    dataset = Dataset.load(folder)
    return dataset if users is None else small_problem(dataset, users)


def for_design(dataset: Dataset) -> Dataset:
    """The data that a default may be designed on: no test interaction is left in it.

    Validation users are cut in two: those of even places stay validation, which selectors may look at,
    and what the others chose is held out in the place of a test.
    """
    splits = dataset.splits.copy()
    users = dataset.users()
    valid = splits == SPLIT_CODES[Split.VALID]
    asked = np.unique(users[valid])
    splits[valid & np.isin(users, asked[1::2])] = SPLIT_CODES[Split.TEST]
    kept = dataset.splits != SPLIT_CODES[Split.TEST]
    digest = hashlib.sha256(f"{dataset.sha256} for design".encode()).hexdigest()
    return replace(dataset, splits=splits).restricted(kept, sha256=digest)


def scores_of(
    dataset: Dataset,
    config: PruneConfig,
    needs: Set[Need],
    work: Path,
    runtime: Runtime,
    stages: StageReporters,
) -> tuple[Samples, Scores, dict[StageName, float]]:
    """The samples, what ``needs`` names of each, and the seconds each stage took; kept in ``work``."""
    workspace = Workspace(work / "stages", runtime=runtime, stages=stages)
    specs, options = scoring_stages(config, needs), JobOptions(config)
    plan = Plan(plan_stages(specs, options, source=dataset.sha256), options)
    made = dict(workspace.run(plan, JobInput(workspace.keep(dataset))))
    samples = build_samples(dataset, config.sampling, config.min_history)
    folders = {name: artifact.folder for name, artifact in made.items()}
    seconds = {name: artifact.facts.seconds or 0.0 for name, artifact in made.items()}
    return samples, load_scores(folders, dataset, samples), seconds
