"""What going on from an earlier surrogate saves, and what it costs in quality, on data that have grown."""

import csv

import pytest

from dealrec.config import DataOptions, Split, SurrogateConfig
from dealrec.config.continuation import Continuation
from dealrec.data.append import append
from dealrec.data.dataset import SPLIT_CODES
from dealrec.data.ingest import ingest
from dealrec.data.synthetic import write_sample_data
from dealrec.surrogates.ensemble import train_ensemble
from dealrec.surrogates.growing import EarlierSurrogates
from dealrec.surrogates.held_out import losses_left_out
from dealrec.surrogates.repeating import Repetition

CONFIG = SurrogateConfig(
    hidden_size=16, layers=1, heads=1, learning_rate=0.01, negatives=64, batch_tokens=512
)


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """The oldest nine tenths of the rows, and all of them."""
    folder = tmp_path_factory.mktemp("growing")
    write_sample_data(folder, users=400, items=60)
    with (folder / "interactions.csv").open() as file:
        head, *rows = csv.reader(file)
    rows.sort(key=lambda row: int(row[2]))
    cut = len(rows) * 9 // 10
    for name, part in (("first", rows[:cut]), ("later", rows[cut:])):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([head, *part])
    options = DataOptions.parse({"split": "global_time"}, location="data")
    before = ingest(folder / "first.csv", options=options, out=folder / "before").dataset
    now = append(folder / "before", folder / "later.csv", out=folder / "now").dataset
    return before, now


@pytest.fixture(scope="module")
def trained(versions):
    """The surrogates of full runs on both."""
    return [train_ensemble(one, CONFIG) for one in versions]


@pytest.mark.parametrize(("replay", "cost"), [(Continuation().surrogate_replay, 0.1), (0.25, 0.07)])
def test_it_learns_a_tenth_of_the_rows_and_ranks_about_as_well(versions, trained, replay, cost):
    (before, now), (first, full) = versions, trained
    start = EarlierSurrogates(first.members, before.item_ids, Repetition.draw(before, now, replay))
    config = CONFIG.model_copy(update={"epochs": Continuation().surrogate_epochs})
    on = train_ensemble(now, config, start=start)
    rows = int((now.splits == SPLIT_CODES[Split.TRAIN]).sum())
    read = on.metrics.get("trained_interactions", rows)
    assert read * on.metrics["epochs"] < cost * rows * full.metrics["epochs"]
    for split in ("valid", "test"):
        assert on.metrics[f"{split}_ndcg@10"] > 0.95 * full.metrics[f"{split}_ndcg@10"]
    told = losses_left_out(start, on, before, now)
    assert bool(told) == (replay < 1)
    if told:
        assert told["left_out_asked"] > 500
        assert abs(told["left_out_loss_after"] - told["left_out_loss_before"]) < 0.05
