"""Loads the results of the scoring stages for the stages that select."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from dealrec.config.stages import StageName
from dealrec.coresets.writer import unscored
from dealrec.data.dataset import Dataset
from dealrec.data.samples import Samples
from dealrec.difficulty.scores import DifficultyScores, FollowingScores
from dealrec.effort.scores import EffortScores
from dealrec.influence.scores import InfluenceScores
from dealrec.selection.interface import Scores
from dealrec.selection.titles import TitleTable
from dealrec.selection.vectors import MadeVectors


def load_scores(inputs: Mapping[StageName, Path], dataset: Dataset, samples: Samples) -> Scores:
    """Load everything that selectors may use from the stages' folders. Vectors stay in their files."""
    influence = inputs.get(StageName.INFLUENCE)
    scores = replace(
        unscored(samples.keys(dataset), samples),
        influence=None if influence is None else InfluenceScores.load(influence).scores,
    )
    if StageName.EFFORT in inputs:
        effort = EffortScores.load(inputs[StageName.EFFORT])
        scores = replace(scores, effort=effort.scores, candidates=effort.candidates)
    if StageName.DIFFICULTY in inputs:
        difficulty = DifficultyScores.load(inputs[StageName.DIFFICULTY])
        scores = replace(scores, el2n=difficulty.el2n, grand=difficulty.grand)
        scores = replace(scores, likelihood=difficulty.likelihood)
    if StageName.IFD in inputs:
        scores = replace(scores, ifd=FollowingScores.load(inputs[StageName.IFD]).ifd)
    if StageName.EMBEDDING in inputs:
        embedding = MadeVectors.load(inputs[StageName.EMBEDDING])
        scores = replace(scores, embedding=embedding.vectors)
    if StageName.GRADIENTS in inputs:
        gradients = MadeVectors.load(inputs[StageName.GRADIENTS])
        scores = replace(scores, gradients=gradients.vectors)
    if StageName.TITLES in inputs:
        scores = replace(scores, titles=TitleTable.load(inputs[StageName.TITLES]))
    return scores
