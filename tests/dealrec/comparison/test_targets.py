"""The library's targets: a comparison's report says which budget reaches a share of all samples."""

import json
from pathlib import Path
from typing import Any

import pytest

from dealrec.comparison.targets import AskedBudget, read_curve
from dealrec.config import PruneConfig
from dealrec.config.curve import Curve
from dealrec.data.synthetic import write_sample_data
from dealrec.errors import InputError
from dealrec.pipeline import prune
from tests.dealrec.comparison.curves import made_curve
from tests.dealrec.comparison.reports import comparison_report

CONFIG = PruneConfig.parse({"finetune": {}})


def reported(folder: Path, curve: Curve | None) -> Path:
    """A folder with the report of a comparison that has drawn ``curve``."""
    folder.mkdir(exist_ok=True)
    report = comparison_report().model_copy(update={"curve": curve})
    (folder / "report.json").write_text(report.model_dump_json())
    return folder


def test_a_coreset_for_a_target_says_what_its_budget_followed_from(tmp_path):
    write_sample_data(tmp_path / "data", users=60, items=30)
    data = tmp_path / "data" / "interactions.csv"
    config = {"surrogate": {"epochs": 1, "hidden_size": 8}, "effort": None}
    first = prune(data, budget=25, out=tmp_path / "first", config=config)
    sha256 = first.coreset.manifest["dataset"]["sha256"]
    curve = made_curve(sha256, CONFIG)
    report = reported(tmp_path / "report", curve)
    asked: dict[str, Any] = {"target": "90 % of full", "target_from": report, "config": config}
    found = prune(data, out=tmp_path / "out", work=tmp_path / "first" / ".work", **asked)
    assert found.coreset.sha256 == first.coreset.sha256
    assert "target" not in first.coreset.manifest["budget"]
    budget = json.loads((tmp_path / "out" / "manifest.json").read_text())["budget"]
    assert (budget["requested"], budget["samples"]) == (25, 25)
    assert budget["target"]["target"] == 0.9
    assert Curve.model_validate(budget["target"]["curve"]) == curve
    assert found.target is not None
    assert "needs 25 of 60 samples" in found.target.told
    with pytest.raises(InputError, match="another `min_history`") as caught:
        prune(data, out=tmp_path / "other", **{**asked, "config": {**config, "min_history": 2}})
    assert caught.value.code == "no_curve"
    assert not (tmp_path / "other").exists()


def test_what_is_no_budget_and_no_target_is_refused(tmp_path):
    for given, code in (
        ((None, None, None), "invalid_budget"),
        ((5, 0.9, "report"), "invalid_budget"),
        ((5, None, "report"), "invalid_target"),
        ((None, "much", "report"), "invalid_target"),
        ((None, 0.9, None), "no_curve"),
        ((None, 0.9, tmp_path), "no_curve"),
    ):
        with pytest.raises(InputError) as caught:
            AskedBudget.read(*given)
        assert caught.value.code == code
    with pytest.raises(InputError, match=r"has no curve.*dealrec compare"):
        read_curve(reported(tmp_path / "report", None))
    curve = made_curve("a", CONFIG)
    found = AskedBudget.read(None, 0.9, reported(tmp_path / "report", curve) / "report.json")
    for other, said in (
        (PruneConfig.parse({"finetune": {"recommender": "encoder"}}), "`bigrec`"),
        (PruneConfig.parse({"finetune": {"model": "another"}}), "the model `smollm2-135m`"),
        (PruneConfig.parse({"prompt": {"history_items": 3}}), "another `prompt`"),
        (PruneConfig.parse({"finetune": {"epochs": 3}}), "`finetune.epochs=1`, so"),
        (PruneConfig.parse({"finetune": {"lora": {"rank": 2}}}), "`finetune.lora.rank=8`"),
    ):
        with pytest.raises(InputError, match=said):
            found.resolved("a", other)
    as_good = {
        "seed": 4,
        "checkpoint_steps": 7,
        "encoder": {"dimensions": 9},
    }  # `bigrec` has no vectors
    assert found.resolved("a", PruneConfig.parse({"finetune": as_good}))[0] == 25
    assert found.resolved("a", PruneConfig())[0] == 25  # it trains nothing: any model will do
