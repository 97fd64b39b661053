"""The surrogate is asked about the candidates of the language model."""

import numpy as np
import pytest

from dealrec.comparison.surrogate_choice import surrogate_choice
from dealrec.config import EvaluationConfig, PromptConfig, SurrogateConfig
from dealrec.data.ingest import ingest
from dealrec.data.samples import held_out_samples
from dealrec.data.synthetic import write_sample_data
from dealrec.recommenders.held_out import held_out_users
from dealrec.surrogates.ensemble import Ensemble, load_ensemble
from dealrec.surrogates.registry import make_surrogate
from dealrec.surrogates.storage import TrainedSurrogate


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("asked")
    write_sample_data(folder, users=60, items=30)
    dataset = ingest(
        folder / "interactions.csv", items=folder / "items.csv", out=folder / "dataset"
    ).dataset
    config = SurrogateConfig(hidden_size=8, layers=1, heads=1)
    members = [
        TrainedSurrogate(make_surrogate(dataset.n_items, config).eval(), config, {}, [])
        for _ in range(2)
    ]
    Ensemble(tuple(members)).save(folder / "surrogate")
    return dataset, folder / "surrogate"


def test_its_preference_is_read_from_its_own_scores(asked):
    dataset, folder = asked
    evaluation = EvaluationConfig(users=20, candidates=5)
    users = held_out_users(dataset, PromptConfig(), evaluation)
    found = surrogate_choice(dataset, users, evaluation, folder)
    samples = held_out_samples(dataset, users.split, evaluation.users)
    assert samples is not None and found is not None
    losses = np.zeros(users.candidates.shape)
    for member in load_ensemble(folder).members:
        for index in range(len(samples)):
            history = samples.history(index).astype(np.int64)
            states = member.model.scores(*_tensors(history)).detach().double()
            losses[index] -= states.log_softmax(1)[0].numpy()[users.candidates[index]] / 2
    below = (losses[:, :1] < losses[:, 1:]).mean(1)
    assert found["auc"] == pytest.approx(below, abs=1e-9)
    assert set(found) >= {"preference", "auc_adj", "hit@1"}


def test_it_is_not_asked_where_there_are_no_candidates(asked):
    dataset, folder = asked
    evaluation = EvaluationConfig(users=20, candidates=0)
    users = held_out_users(dataset, PromptConfig(), evaluation)
    assert surrogate_choice(dataset, users, evaluation, folder) is None


def _tensors(history):
    import torch

    return torch.from_numpy(history)[None], torch.tensor([len(history)])
