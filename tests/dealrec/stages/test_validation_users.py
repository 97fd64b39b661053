"""Which validation users a job's stages see, from the options to the figures."""

from pathlib import Path

from tests.dealrec.stages.runs import options, prune


def test_the_users_that_are_asked_are_not_those_that_scores_looked_at(
    data: Path, model: str, tmp_path: Path
) -> None:
    asked = {"split": "valid", "users": 1000, "ranking_users": 0}
    config = options(model)
    config["finetune"] |= {"epochs": 1}
    halved = prune(data, tmp_path / "a", config | {"evaluation": asked}, work=tmp_path / "work")
    manifest = halved.coreset.manifest
    assert manifest["config"]["validation_users"] == "half"
    aimed = manifest["stages"]["influence"]["target_examples"]

    whole = prune(data, tmp_path / "b", options(None), work=tmp_path / "work")
    assert whole.coreset.manifest["config"]["validation_users"] == "all"
    every = whole.coreset.manifest["stages"]["influence"]["target_examples"]
    assert halved.evaluation is not None
    assert aimed + halved.evaluation["users"] == every
    assert 0 < aimed < every
    assert halved.evaluation["split"] == "valid"
    assert "the other half is asked" in halved.evaluation["protocol"]
    assert halved.coreset.manifest["dataset"] == whole.coreset.manifest["dataset"]
