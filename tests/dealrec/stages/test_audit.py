import pytest

import dealrec
from dealrec.data.synthetic import write_sample_data
from dealrec.progress import SILENT
from dealrec.stages.audit import audit
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
