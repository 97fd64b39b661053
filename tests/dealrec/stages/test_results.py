"""The folder of results: what another run replaces, and what it leaves alone."""

from pathlib import Path
from typing import Any

import pytest

from dealrec.config import EvaluationConfig, FinetuneConfig
from dealrec.errors import InputError
from dealrec.pipeline import evaluate, finetune
from tests.dealrec.stages.runs import options, prune

MEASURED = {"users": 6, "ranking_users": 2, "beams": 1, "max_title_tokens": 4}


def trained(model: str, **more: Any) -> dict[str, Any]:
    config = options(model)
    return {**config, "finetune": {**config["finetune"], **more}, "evaluation": MEASURED}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".work", ".stages.json"}


CORESET = {
    "config.json",
    "coreset.jsonl",
    "manifest.json",
    "members.parquet",
    "report.html",
    "scores.parquet",
}


def test_an_adapter_and_figures_stay_beside_their_own_coreset_alone(
    data: Path, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    prune(data, out, trained(model))
    (out / "notes.txt").write_text("mine")
    complete = CORESET | {"adapter", "evaluation.json", "notes.txt"}
    assert names(out) == complete
    result = prune(data, out, options(None))
    assert result.adapter is None
    assert names(out) == complete, "the same coreset"

    other = trained(model, learning_rate=0.02)
    before = (out / "adapter" / "adapter_model.safetensors").read_bytes()
    prune(data, out, other | {"evaluation": None})
    assert (out / "adapter" / "adapter_model.safetensors").read_bytes() != before
    assert names(out) == complete - {"evaluation.json"}, "another adapter"

    with monkeypatch.context() as failing:
        failing.setattr("dealrec.stages.finetune.finetune", _fails)
        with pytest.raises(RuntimeError, match="the disk is gone"):
            prune(data, out, trained(model, learning_rate=0.03) | {"evaluation": None})
    assert names(out) == CORESET | {"notes.txt"}, "the coreset of a training that failed"

    prune(data, out, options(None), budget=5)
    assert names(out) == CORESET | {"notes.txt"}, "another coreset"


def _fails(*_: object, **__: object) -> None:
    raise RuntimeError("the disk is gone")


def test_a_folder_of_the_users_own_keeps_its_files(data: Path, model: str, tmp_path: Path) -> None:
    mine = tmp_path / "adapter" / "notes.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    prune(data, tmp_path, options(None), budget=5)
    prune(data, tmp_path, options(model))
    assert {"notes.txt", "README.md", "adapter_config.json"} <= names(tmp_path / "adapter")
    assert mine.read_text() == "mine"


def test_training_into_a_result_keeps_its_finished_stages(
    data: Path, model: str, tmp_path: Path
) -> None:
    prune(data, tmp_path / "out", options(None))
    kept = names(tmp_path / "out" / ".work" / "artifacts")
    config = FinetuneConfig(**options(model)["finetune"])
    finetune(tmp_path / "out", config=config, out=tmp_path / "out")
    assert kept <= names(tmp_path / "out" / ".work" / "artifacts")
    assert not (tmp_path / "out" / ".training").exists()


def test_refused_files_and_folders_leave_nothing_behind(
    data: Path, model: str, tmp_path: Path
) -> None:
    out, adapter = tmp_path / "out", tmp_path / "adapter"
    with pytest.raises(InputError) as refused:
        prune(tmp_path, out, options(None))
    assert refused.value.code == "no_such_file"
    assert not out.exists()

    prune(data, out, options(model))
    with pytest.raises(InputError) as refused:
        finetune(out, config=FinetuneConfig(model=model, max_tokens=16), out=adapter)
    assert refused.value.code == "max_tokens_too_small"
    assert not adapter.exists()

    (out / "manifest.json").unlink()
    with pytest.raises(InputError) as refused:
        evaluate(
            out,
            data / "interactions.csv",
            finetune=FinetuneConfig(model=model),
            config=EvaluationConfig(**MEASURED),
        )
    assert refused.value.code == "no_such_file"


def test_an_adapter_of_another_model_is_not_measured(
    data: Path, model: str, tmp_path: Path
) -> None:
    prune(data, tmp_path / "out", options(model))
    with pytest.raises(InputError) as refused:
        evaluate(
            tmp_path / "out",
            data / "interactions.csv",
            finetune=FinetuneConfig(model="smollm2-135m"),
            config=EvaluationConfig(**MEASURED),
        )
    assert refused.value.code == "adapter_not_usable"


def test_a_damaged_result_is_made_again(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prune(data, out, options(None))
    before = (out / "members.parquet").read_bytes()
    for path in sorted((out / ".work" / "artifacts").rglob("*.parquet")):
        path.write_bytes(path.read_bytes()[:100])
    prune(data, out, options(None))
    assert (out / "members.parquet").read_bytes() == before


def test_a_file_in_place_of_a_folder_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError) as refused:
        prune(data, tmp_path / "out", options(None))
    assert refused.value.code == "not_a_folder"
    assert (tmp_path / "out").read_text() == "mine"
    with pytest.raises(InputError, match="out is a file, but a folder is needed"):
        prune(data, tmp_path / "out" / "below" / "it", options(None))
