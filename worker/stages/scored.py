"""What the stages before a selection have made."""

from typing import Any

from dealrec.config.stages import StageName
from dealrec.data.dataset import Dataset
from dealrec.data.samples import Samples
from dealrec.difficulty.scores import DifficultyScores
from dealrec.effort.scores import EffortScores
from dealrec.influence.scores import InfluenceScores
from dealrec.selection.interface import Scores
from dealrec.selection.vectors import MadeVectors
from dealrec.worker.stages.context import StageContext


def load_scores(context: StageContext, dataset: Dataset, samples: Samples) -> Scores:
    """All that any selector may look at; vectors stay in their files."""
    inputs = context.inputs
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
