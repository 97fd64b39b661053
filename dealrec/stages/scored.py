"""Loads what the scoring stages have made, for the stages that select."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dealrec.config.stages import StageName
from dealrec.data.dataset import Dataset
from dealrec.data.samples import Samples
from dealrec.difficulty.scores import DifficultyScores
from dealrec.effort.scores import EffortScores
from dealrec.influence.scores import InfluenceScores
from dealrec.selection.interface import Scores
from dealrec.selection.vectors import MadeVectors


def load_scores(inputs: Mapping[StageName, Path], dataset: Dataset, samples: Samples) -> Scores:
    """Everything that any selector may look at, from the stages' folders; vectors stay in their files."""
    found: dict[str, Any] = {"effort": None}
    if StageName.EFFORT in inputs:
        effort = EffortScores.load(inputs[StageName.EFFORT])
        found = {"effort": effort.scores, "candidates": effort.candidates}
    if StageName.DIFFICULTY in inputs:
        difficulty = DifficultyScores.load(inputs[StageName.DIFFICULTY])
        found |= {"el2n": difficulty.el2n, "grand": difficulty.grand}
    for name in (StageName.EMBEDDING, StageName.GRADIENTS):
        if name in inputs:
            found[name.value] = MadeVectors.load(inputs[name]).vectors
    return Scores(
        samples.keys(dataset),
        InfluenceScores.load(inputs[StageName.INFLUENCE]).scores,
        targets=samples.targets,
        history_lengths=samples.history_lengths,
        **found,
    )
