import pytest

import dealrec
from dealrec.data.audit import audit, dataset_shape
from dealrec.data.synthetic import write_sample_data
from dealrec.progress import SILENT
from dealrec.reports.shape import shape_charts
from tests.dealrec.data.files import ingest_bytes

ROWS = """user_id,item_id,position,split
u,a,1,train
u,b,2,train
u,a,3,train
v,a,1,train
v,c,2,valid
w,b,1,test
"""
ITEMS = "item_id,title\na,one\nb,one\nc,two\nd,three\n"


def test_the_figures_of_a_small_data_set_are_those_counted_by_hand(tmp_path):
    dataset = ingest_bytes(tmp_path, ROWS.encode(), ITEMS.encode()).dataset
    assert audit(dataset, popular=0.25) == {
        "history_median": 1.0,
        "history_p90": pytest.approx(2.6),
        "popular_share": 0.75,  # `a` has three of four
        "unseen_share": 0.5,  # `c`, of `c` and `b`
        "repeated_share": pytest.approx(1 / 6),
        "shared_titles": 0.5,
    }


def test_the_distributions_of_a_small_data_set_are_those_counted_by_hand(tmp_path):
    rows = ROWS.replace("position", "timestamp") + "x,a,9,train\n"
    shape = dataset_shape(ingest_bytes(tmp_path, rows.encode(), ITEMS.encode()).dataset)
    assert shape.splits.model_dump() == {"train": 5, "valid": 1, "test": 1}
    assert [(one.low, one.high, one.users) for one in shape.history_lengths] == [
        (1, 1, 2),
        (2, 2, 0),
        (3, 3, 1),
    ]
    assert [(one.items, one.share_of_interactions) for one in shape.popularity] == [
        (1, 0.8),
        (2, 1.0),
        (3, 1.0),
        (4, 1.0),
    ]
    counted = [(span.start, span.train, span.valid, span.test) for span in shape.over_time]
    assert counted[:3] == [(1, 2, 0, 1), (2, 1, 1, 0), (3, 1, 0, 0)]
    assert counted[-1] == (9, 1, 0, 0) and len(counted) == 9
    titles = [chart.title for chart in shape_charts(shape)]
    assert titles == ["Interactions over time", "Lengths of histories", "Popularity of items"]
    time, _, popularity = (chart.svg for chart in shape_charts(shape))
    assert "from 2: 1 train, 1 valid" in time and "logarithmic" in popularity


def test_an_audit_changes_no_other_stage(tmp_path):
    write_sample_data(tmp_path, users=60, items=30)
    small = {"effort": None, "surrogate": {"epochs": 1, "hidden_size": 8}}
    begun: list[str] = []

    def reporter(stage):
        begun.append(stage.value)
        return SILENT

    def pruned(config):
        begun.clear()
        return dealrec.prune(
            tmp_path / "interactions.csv",
            budget=5,
            config=config,
            out=tmp_path / "out",
            stages=reporter,
        )

    plain = pruned(small)
    audited = pruned(small | {"audit": {}})
    assert begun == ["audit"]
    assert audited.coreset.sha256 == plain.coreset.sha256
