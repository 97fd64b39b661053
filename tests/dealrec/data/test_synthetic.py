import csv
import itertools
from collections import Counter, defaultdict

import numpy as np
import pytest

from dealrec.config import DataOptions, PromptConfig, SplitMethod
from dealrec.data.ingest import ingest
from dealrec.data.prompter import Prompter
from dealrec.data.samples import build_samples
from dealrec.data.synthetic import write_sample_data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("sample")
    write_sample_data(path)
    return path


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(folder, tmp_path):
    write_sample_data(tmp_path / "again")
    write_sample_data(tmp_path / "other", seed=1)
    for name in ("interactions.csv", "items.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()
    other = (tmp_path / "other" / "interactions.csv").read_bytes()
    assert other != (folder / "interactions.csv").read_bytes()


def test_titles_are_distinct_and_short(folder):
    titles = [row["title"] for row in rows(folder / "items.csv")]
    assert len(set(titles)) == len(titles) == 500
    assert max(map(len, titles)) <= 30


def test_titles_stay_distinct_in_a_large_catalogue(tmp_path):
    write_sample_data(tmp_path, users=10, items=5000)
    assert len({row["title"] for row in rows(tmp_path / "items.csv")}) == 5000


@pytest.mark.parametrize("users, items", [(10, 20), (30, 21)])
def test_small_worlds_work(tmp_path, users, items):
    write_sample_data(tmp_path, users=users, items=items)
    result = ingest(tmp_path / "interactions.csv", items=tmp_path / "items.csv", out=tmp_path / "o")
    assert result.counts["users"] == users


@pytest.mark.parametrize("split", [SplitMethod.GLOBAL_TIME, SplitMethod.LEAVE_ONE_OUT])
def test_it_ingests_cleanly_with_good_parts_in_either_split(folder, tmp_path, split):
    options = DataOptions(split=split)
    result = ingest(
        folder / "interactions.csv", items=folder / "items.csv", options=options, out=tmp_path
    )
    assert result.report["rejected_rows"] == 0
    assert result.report["warnings"] == []
    assert result.counts["users"] == 1000
    assert result.counts["samples_per_user"] > 950
    users = result.dataset.users()
    for code in (1, 2):
        assert len(np.unique(users[result.dataset.splits == code])) > 500


def test_successors_within_a_genre_follow_far_more_often_than_popularity_would_have_it(folder):
    genre = {row["item_id"]: row["genre"] for row in rows(folder / "items.csv")}
    histories = defaultdict(list)
    for row in rows(folder / "interactions.csv"):
        histories[row["user_id"]].append((int(row["timestamp"]), row["item_id"]))
    steps = Counter[tuple[str, str]]()
    for history in histories.values():
        items = [item for _, item in sorted(history, key=lambda pair: pair[0])]
        steps.update(itertools.pairwise(items))
    total = sum(steps.values())
    stayed = sum(count for (a, b), count in steps.items() if genre[a] == genre[b])
    assert stayed / total > 0.7
    best = Counter[str]()
    for (a, _), count in steps.items():
        best[a] = max(best[a], count)
    assert sum(best.values()) / total > 0.4
    popularity = Counter(item for history in histories.values() for _, item in history)
    top = sum(count for _, count in popularity.most_common(50))
    assert top / sum(popularity.values()) > 0.25


def test_prompts_are_short(folder, tmp_path):
    dataset = ingest(folder / "interactions.csv", items=folder / "items.csv", out=tmp_path).dataset
    samples = build_samples(dataset)
    prompter = Prompter(dataset, samples, PromptConfig())
    lengths = [
        len(asked.prompt + asked.completion) for asked in map(prompter.prompt, range(len(samples)))
    ]
    assert max(lengths) < 450
