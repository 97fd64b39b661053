import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dealrec.config import Sampling, Split, SplitMethod
from dealrec.data.samples import build_samples, held_out_samples
from dealrec.data.splits import default_method, global_time, leave_one_out
from tests.dealrec.data.files import ingest_bytes


def test_the_default_split_is_the_files_own_then_time_then_leave_one_out():
    assert default_method(has_split=True, has_timestamps=True) is SplitMethod.COLUMN
    assert default_method(has_split=False, has_timestamps=True) is SplitMethod.GLOBAL_TIME
    assert default_method(has_split=False, has_timestamps=False) is SplitMethod.LEAVE_ONE_OUT


@given(st.permutations(range(30)))
def test_global_time_gives_the_oldest_eight_tenths_to_training(by_time):
    splits = global_time(np.array(by_time))
    assert splits[by_time].tolist() == [0] * 24 + [1] * 3 + [2] * 3


@given(st.lists(st.integers(1, 6), min_size=1, max_size=8))
def test_leave_one_out_leaves_a_test_and_a_validation_item_where_a_history_stays(lengths):
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    splits = leave_one_out(offsets)
    for start, end in itertools.pairwise(offsets):
        part = splits[start:end].tolist()
        assert part == [0] * len(part) if len(part) < 3 else [0] * (len(part) - 2) + [1, 2]


def test_global_time_cuts_over_all_users_and_ties_do_not_depend_on_the_order_of_rows(tmp_path):
    """Row 0 to 4 have the latest time, at which both training and validation end."""
    rows = [f"u{i % 2},i{i},{100 - i // 5}\n" for i in range(20)]
    found = []
    for place, ordered in enumerate((rows, rows[::-1], rows[3:] + rows[:3])):
        content = f"user_id,item_id,timestamp\n{''.join(ordered)}".encode()
        folder = tmp_path / str(place)
        folder.mkdir()
        dataset = ingest_bytes(folder, content).dataset
        assert dataset.split_method is SplitMethod.GLOBAL_TIME
        names = np.array(dataset.item_ids.to_pylist())[dataset.items]
        found.append([set(names[dataset.splits == code]) for code in (1, 2)])
    assert found[0] == found[1] == found[2]
    assert [len(part) for part in found[0]] == [2, 2]
    assert found[0][0] | found[0][1] < {f"i{i}" for i in range(5)}


def test_ties_at_the_end_of_a_split_prefer_no_ids(tmp_path):
    """Every user's second item is of one time: each part gets small and large ids of users."""
    rows = "".join(f"u{i:03},a,1\nu{i:03},b,7\n" for i in range(200))
    dataset = ingest_bytes(tmp_path, f"user_id,item_id,timestamp\n{rows}".encode()).dataset
    for code, size in ((0, 120), (1, 40), (2, 40)):
        users = np.flatnonzero(dataset.splits[1::2] == code)
        assert len(users) == size
        assert 70 < users.mean() < 130


def test_samples_of_both_units_over_the_training_items(tmp_path):
    content = b"user_id,item_id,position\n" + b"".join(
        b"u,%d,%d\nv,%d,%d\n" % (i, i, i, i) for i in range(5)
    )
    dataset = ingest_bytes(tmp_path, content + b"w,9,0\nw,8,1\nx,7,0\n").dataset
    per_user = build_samples(dataset, Sampling.PER_USER)
    assert per_user.keys(dataset).to_pylist() == ["u", "v", "w"]
    assert per_user.history_lengths.tolist() == [2, 2, 1]
    every = build_samples(dataset, Sampling.PER_INTERACTION)
    assert every.keys(dataset).to_pylist() == ["u:1", "u:2", "v:1", "v:2", "w:1"]
    names = dataset.item_ids.to_pylist()
    assert [names[item] for item in every.history(1)] == ["0", "1"]
    assert names[every.targets[1]] == "2"
    assert every.times is None and every.target_times is None and every.history_times(1) is None


def test_samples_know_the_times_of_target_and_history(tmp_path):
    rows = b"u,a,30\nu,b,10\nu,c,20\nv,a,7\nv,b,8\nv,c,40\n"
    dataset = ingest_bytes(tmp_path, b"user_id,item_id,timestamp\n" + rows).dataset
    every = build_samples(dataset, Sampling.PER_INTERACTION)
    assert every.keys(dataset).to_pylist() == ["u:1", "v:1"]  # 30 and 40 are not training
    assert np.array(every.target_times).tolist() == [20, 8]
    assert [np.array(every.history_times(index)).tolist() for index in range(2)] == [[10], [7]]
    held_out = held_out_samples(dataset, Split.TEST, 10)
    assert held_out is not None
    assert np.array(held_out.target_times).tolist() == [40]
    assert np.array(held_out.history_times(0)).tolist() == [7, 8]


def test_of_repeated_rows_the_highest_rating_stays_in_any_order_of_rows(tmp_path):
    rows = ["u,a,1,3", "u,a,1,5", "u,a,1,", "u,b,2,1", "u,c,3,2", "u,d,4,2"]
    found = [
        ingest_bytes(
            tmp_path,
            "\n".join(["user_id,item_id,timestamp,rating", *given]).encode(),
            split="leave_one_out",
            ratings=True,
        ).dataset
        for given in (rows, rows[::-1])
    ]
    assert found[0].sha256 == found[1].sha256
    assert found[0].ratings is not None
    assert found[0].ratings.tolist() == [5, 1, 2, 2]
