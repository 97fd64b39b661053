"""Evaluates the surrogate on the same candidates as the language model."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from dealrec.config import EvaluationConfig
from dealrec.data.dataset import Dataset
from dealrec.data.samples import held_out_samples
from dealrec.metrics.preference import preference_metrics
from dealrec.metrics.ranking import CHUNK_ELEMENTS, pad
from dealrec.recommenders.held_out import HeldOutUsers
from dealrec.surrogates.ensemble import load_ensemble

Floats = npt.NDArray[np.float64]


def surrogate_choice(
    dataset: Dataset, users: HeldOutUsers, evaluation: EvaluationConfig, folder: Path
) -> dict[str, Floats] | None:
    """Evaluate an ensemble like a recommender, by its log-probabilities of the candidates.

    Args:
        dataset: The data set that it was trained on.
        users: The held-out users and their candidates.
        evaluation: How they were chosen.
        folder: The saved ensemble; the log-probabilities of its members are averaged.

    Returns:
        The metrics of :func:`~dealrec.metrics.preference.preference_metrics`, each [U]; ``None`` if there
        are no candidates.
    """
    if users.candidates.shape[1] < 2:
        return None
    samples = held_out_samples(dataset, users.split, evaluation.users)
    assert samples is not None
    members = load_ensemble(folder).members
    histories = [samples.history(index) for index in range(len(samples))]
    size, losses = max(1, CHUNK_ELEMENTS // dataset.n_items), []
    for start in range(0, len(histories), size):
        asked = torch.from_numpy(users.candidates[start : start + size].astype(np.int64))
        found = torch.zeros(asked.shape, dtype=torch.float64)
        for member in members:
            part = [
                history[-member.config.max_length :] for history in histories[start : start + size]
            ]
            sequences, lengths = pad(part, dataset.n_items)
            with torch.no_grad():
                scores = member.model.scores(sequences, lengths).double()
            found -= scores.log_softmax(1).gather(1, asked) / len(members)
        losses.append(found.numpy())
    return preference_metrics(np.concatenate(losses), users.titles.of_item[users.candidates])
