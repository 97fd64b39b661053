"""The default options of surrogates are good enough to learn what the sample data hold."""

import pytest

from dealrec.config import SurrogateConfig
from dealrec.config.runtime import Runtime
from dealrec.data.ingest import ingest
from dealrec.data.synthetic import write_sample_data
from dealrec.surrogates.training import train_surrogate
from tests.dealrec.surrogates.data import popularity_baseline


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
    baseline = popularity_baseline(dataset)
    assert trained.metrics["test_recall@20"] > 1.2 * baseline["recall@20"]
