"""The loss of an earlier surrogate on new rows, against sums written out."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from dealrec.config import Split, SurrogateConfig
from dealrec.data.dataset import SPLIT_CODES
from dealrec.data.drift import new_rows
from dealrec.surrogates.growing import EarlierSurrogates
from dealrec.surrogates.held_out import held_out_losses
from dealrec.surrogates.storage import TrainedSurrogate
from tests.dealrec.surrogates.data import prepared, ring_dataset

OPTIONS = {"hidden_size": 8, "max_length": 4}


@pytest.fixture(scope="module")
def versions():
    """A version, and the one before it, which lacks the newest row of every third user and one user."""
    now = ring_dataset(users=9, items=7)
    kept = np.ones(now.n_interactions, bool)
    kept[now.offsets[1::3] - 1] = False
    kept[now.offsets[4] : now.offsets[5]] = False
    return now.restricted(kept, sha256="0"), now, ~kept


def plain_loss(models, dataset, wanted, known):
    losses = []
    for user in range(dataset.n_users):
        before: list[int] = []
        for row in range(dataset.offsets[user], dataset.offsets[user + 1]):
            item = int(dataset.items[row])
            if item in known and before and wanted[row]:
                history = torch.tensor([before[-4:]])
                for model in models:
                    with torch.no_grad():
                        scores = model.scores(history, torch.tensor([history.shape[1]]))
                    losses.append(-float(torch.log_softmax(scores[0], 0)[item]))
            before += [item] if item in known else []
    return np.mean(losses), len(losses) // len(models)


def test_the_losses_are_those_of_plain_sums(versions):
    before, now, came = versions
    assert np.array_equal(new_rows(before, now), came)
    torch.manual_seed(0)
    config = SurrogateConfig(model="sasrec", ensemble=2, **OPTIONS)
    models = [prepared("sasrec", before, **OPTIONS).eval() for _ in range(2)]
    trained = [TrainedSurrogate(model, config, {}, []) for model in models]
    found = held_out_losses(EarlierSurrogates(trained, before.item_ids), before, now)
    loss, asked = plain_loss(models, now, came, set(range(7)))
    assert (found.new_rows, found.asked) == (int(came.sum()), asked)
    assert found.loss == pytest.approx(loss, abs=1e-5)
    held_out = before.splits == SPLIT_CODES[Split.TEST]
    assert found.held_out_loss == pytest.approx(
        plain_loss(models, before, held_out, set(range(7)))[0], abs=1e-5
    )
    other = replace(now, item_ids=pa.array(["new", *now.item_ids.to_pylist()[1:]]))
    told = held_out_losses(EarlierSurrogates(trained, before.item_ids), before, other)
    news = came | (now.items == 0)
    loss, asked = plain_loss(models, now, news, set(range(1, 7)))
    assert (told.new_rows, told.asked) == (int(news.sum()), asked)
    assert told.loss == pytest.approx(loss, abs=1e-5)
    same = held_out_losses(EarlierSurrogates(trained, before.item_ids), before, before)
    assert (same.new_rows, same.loss, sorted(same.metrics())) == (
        0,
        None,
        ["earlier_loss_held_out"],
    )


def test_of_equal_rows_as_many_are_new_as_there_are_more(versions):
    now = versions[1]
    twice = replace(
        now,
        items=np.concatenate([now.items[:1], now.items]),
        splits=np.concatenate([now.splits[:1], now.splits]),
        times=None if now.times is None else np.concatenate([now.times[:1], now.times]),
        offsets=np.concatenate([[0], now.offsets[1:] + 1]),
    )
    assert np.flatnonzero(new_rows(now, twice)).tolist() == [1]
    assert not new_rows(twice, now).any()
