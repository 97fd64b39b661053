"""The default options of surrogates are good enough to learn what the sample data hold."""

import numpy as np
import pytest
import torch

from dealrec.config import Split, SurrogateConfig
from dealrec.config.runtime import Runtime
from dealrec.data.ingest import ingest
from dealrec.data.synthetic import write_sample_data
from dealrec.metrics.ranking import build_questions, evaluate_ranking
from dealrec.surrogates.training import train_surrogate


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    write_sample_data(folder, users=300, items=150)
    return ingest(
        folder / "interactions.csv", items=folder / "items.csv", out=folder / "out"
    ).dataset


@pytest.mark.parametrize("model", ["dcrec", "lightgcn", "content"])
def test_it_ranks_better_than_popularity(dataset, model):
    trained = train_surrogate(dataset, SurrogateConfig(model=model), runtime=Runtime(device="cpu"))
    counts = np.bincount(dataset.items[dataset.splits == 0], minlength=dataset.n_items)
    popular = torch.from_numpy(counts.astype(np.float64))
    baseline = evaluate_ranking(
        lambda sequences, lengths: popular.expand(len(sequences), -1),
        build_questions(dataset, Split.TEST),
        n_items=dataset.n_items,
        max_length=50,
    ).values
    assert trained.metrics["test_recall@20"] > 1.2 * baseline["recall@20"]
