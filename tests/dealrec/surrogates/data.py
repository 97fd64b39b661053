"""A small data set with structure: users walk along a ring of items, now and then jumping."""

import numpy as np
import pyarrow as pa
import torch

from dealrec.config import Split, SplitMethod, SurrogateConfig
from dealrec.data.dataset import Dataset
from dealrec.metrics.ranking import build_questions, evaluate_ranking
from dealrec.surrogates.registry import make_surrogate


def ring_dataset(users=60, items=30, seed=0, valid=True, test=True):
    rng = np.random.default_rng(seed)
    sequences, splits = [], []
    for user in range(users):
        length = 2 if user % 5 == 0 else int(rng.integers(3, 12))
        steps = np.where(rng.random(length + 2) < 0.9, 1, rng.integers(2, items, length + 2))
        walk = (rng.integers(items) + np.cumsum(steps)) % items
        kinds = [0] * length + ([1] if valid else []) + ([2] if test else [])
        sequences.append(walk[: len(kinds)])
        splits.append(kinds)
    lengths = [len(sequence) for sequence in sequences]
    return Dataset(
        user_ids=pa.array([f"u{user}" for user in range(users)]),
        item_ids=pa.array([f"i{item}" for item in range(items)]),
        titles=pa.array([f"Item {item}" for item in range(items)]),
        item_texts={},
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        items=np.concatenate(sequences).astype(np.int32),
        splits=np.concatenate(splits).astype(np.int8),
        split_method=SplitMethod.LEAVE_ONE_OUT,
        sha256="0" * 64,
    )


def prepared(name, dataset, **options):
    """A model in float64 and evaluation mode that was not trained, with what it keeps of the data."""
    made = make_surrogate(dataset.n_items, SurrogateConfig(model=name, **options))
    made.prepare(dataset)
    return made.double().eval()


def popularity_baseline(dataset, max_length=50):
    """The ranking metrics on test users of counting how often an item was chosen in training."""
    counts = np.bincount(dataset.items[dataset.splits == 0], minlength=dataset.n_items)
    popular = torch.from_numpy(counts.astype(np.float64))
    return evaluate_ranking(
        lambda sequences, lengths: popular.expand(len(sequences), -1),
        build_questions(dataset, Split.TEST),
        n_items=dataset.n_items,
        max_length=max_length,
    ).values
