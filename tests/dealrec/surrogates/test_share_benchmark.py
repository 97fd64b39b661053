"""The benchmark of surrogates on a share of the data, small: it runs for days at full size, and goes on."""

import json
import sys

import pytest

from benchmarks import surrogate_share


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    def run(*more):
        options = [
            "--users",
            "60",
            "--work",
            str(tmp_path),
            "--set",
            "epochs=2",
            "--shares",
            "0.3,0.5",
        ]
        options += ["--set", "hidden_size=8", "--set", "negatives=8", *more]
        monkeypatch.setattr(sys, "argv", ["surrogate_share", *options])
        surrogate_share.main()
        return capsys.readouterr().out

    return run


def test_rows_are_made_once_and_compared_with_the_whole_surrogate(run, monkeypatch):
    first = run("--only", "everything;users 50%")
    assert "users 50%: there" in first and "recent 50%: there" not in first
    whole = run()
    monkeypatch.setattr(surrogate_share, "train_surrogate", None)  # nothing is trained any more
    again = run()
    found = {
        target["name"]: target["measured"]
        for target in json.loads(again.splitlines()[-1])["targets"]
    }
    assert found["everything: Spearman"] == pytest.approx(1)
    shares = [name for name in found if name.endswith(": Spearman")]
    assert [name.removesuffix(": Spearman") for name in shares] == [
        "everything",
        "everything, seed 1",
        "users 30%",
        "users 50%",
        "recent 30%",
        "recent 50%",
        "epochs 1 of 2",
    ]
    assert all(-1 <= found[name] <= 1 for name in shares)
    assert whole.splitlines()[-1] == again.splitlines()[-1]
