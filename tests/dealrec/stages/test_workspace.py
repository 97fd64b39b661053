"""Kept stages: what a killed process leaves, two processes at once, and what is known of a stage."""

import json
import math
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dealrec.config.data import AS_THEY_ARE
from dealrec.config.runtime import Runtime
from dealrec.config.stages import StageName
from dealrec.data.dataset import Dataset
from dealrec.errors import InputError
from dealrec.progress import SILENT, Reporter, silent_stages
from dealrec.sources import source_files
from dealrec.stages import workspace as workspace_module
from dealrec.stages.context import IngestFile, IngestFiles, StageContext, StageResult
from dealrec.stages.workspace import Artifact, Workspace
from tests.chaos.disk import SmallDisk
from tests.dealrec.stages.runs import BUDGET, Watch, options, prune

WEIGHTS = "adapter_model.safetensors"
SCRIPT = """
import json, sys
from pathlib import Path
from dealrec.config.stages import StageName
from tests.dealrec.stages.runs import Killer, Watch, prune
data, out, work, config, stage = sys.argv[1:]
watch = Killer(stage=StageName(stage)) if stage else Watch()
prune(Path(data), Path(out), json.loads(config), work=work, stages=watch)
print(json.dumps(watch.begun))
"""


NEWER: dict[str, Any] = {
    "batch_size": 2,
    "gradient_accumulation": 2,
    "activation_checkpointing": True,
    "quantization": "nf4",
    "validation": {"samples": 6, "every_steps": 1, "patience": 9},
    "lora": {"rslora": True, "dora": True},
}


def start(
    data: Path, out: Path, work: Path, config: dict[str, Any], kill_in: str = ""
) -> subprocess.Popen[str]:
    given = [str(data), str(out), str(work), json.dumps(config), kill_in]
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *given], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("stage", [StageName.SURROGATE, StageName.FINETUNE])
def test_a_killed_run_goes_on_to_the_same_result_and_leaves_nothing_of_the_kill(
    data: Path, model: str, tmp_path: Path, stage: StageName
) -> None:
    out, work, config = tmp_path / "out", tmp_path / "work", options(model)
    if stage is StageName.FINETUNE:
        config["finetune"] |= NEWER
    killed = start(data, out, work, config, kill_in=stage)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert list(work.rglob("*.part"))
    assert [path for path in (work / "checkpoints").rglob("*") if path.is_file()]

    watch = Watch()
    result = prune(data, out, config, work=work, stages=watch)
    assert watch.begun[0] is stage
    assert watch.first[stage] > 0
    assert not list(tmp_path.rglob("*.part"))
    assert not list((work / "checkpoints").iterdir())
    undisturbed = prune(data, tmp_path / "undisturbed", config)
    assert result.coreset.sha256 == undisturbed.coreset.sha256
    assert result.adapter and undisturbed.adapter
    assert (result.adapter / WEIGHTS).read_bytes() == (undisturbed.adapter / WEIGHTS).read_bytes()


def test_two_processes_at_once_run_each_stage_once(data: Path, tmp_path: Path) -> None:
    both = [
        start(data, tmp_path / name, tmp_path / "work", options(None)) for name in ("one", "other")
    ]
    begun = [stage for process in both for stage in json.loads(process.communicate()[0])]
    assert sorted(begun) == ["influence", "ingest", "select", "surrogate"]
    members = [(tmp_path / name / "members.parquet").read_bytes() for name in ("one", "other")]
    assert members[0] == members[1]


def test_earlier_stages_are_kept_where_a_later_one_refuses_its_input(
    data: Path, tmp_path: Path
) -> None:
    def refusing(stage: StageName) -> Reporter:
        if stage is StageName.SELECT:
            raise InputError("refused")
        return SILENT

    with pytest.raises(InputError):
        prune(data, tmp_path / "out", options(None), stages=refusing)
    watch = Watch()
    prune(data, tmp_path / "out", options(None), stages=watch)
    assert watch.begun == [StageName.SELECT]


def test_a_refused_job_takes_nothing_from_others_in_the_same_workspace(
    data: Path, tmp_path: Path
) -> None:
    out, work = tmp_path / "out", tmp_path / "work"
    with pytest.raises(InputError):
        prune(data, out, options(None), budget=10**6, work=work)
    assert not out.exists()
    assert len(list((work / "artifacts").glob("*/out/interactions.parquet"))) == 1


def test_a_refused_job_takes_nothing_from_one_that_began_in_the_same_new_folder(
    data: Path, tmp_path: Path
) -> None:
    other = Workspace(tmp_path / "out" / ".work", runtime=Runtime(), stages=silent_stages)
    file = IngestFile(path=data / "interactions.csv", name="other.csv")
    files = IngestFiles(interactions=file)
    kept = list[Artifact]()

    def begins_too(_stage: StageName) -> Reporter:
        kept.append(other.ingest(files))
        return SILENT

    with pytest.raises(InputError):
        prune(data, tmp_path / "out", options(None), budget=10**6, stages=begins_too)
    assert Dataset.load(kept[0].folder).sha256 == kept[0].shape.sha256
    other.discard()
    assert not other.folder.exists()


def test_facts_are_kept_with_figures_that_are_no_numbers(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(context: StageContext) -> StageResult:
        context.reporter.metric("reported", math.nan)
        return StageResult({"loss": math.inf}, {"returned": math.nan})

    monkeypatch.setattr(workspace_module, "load_stage", lambda _name: run)
    path = data / "interactions.csv"
    files = IngestFiles(interactions=IngestFile(path=path, name=path.name))
    watch = Watch()
    for _ in range(2):
        made = Workspace(tmp_path, runtime=Runtime(), stages=watch).ingest(files)
        assert made.facts.details == {"loss": math.inf}
        assert math.isnan(made.facts.metrics["reported"])
        assert math.isnan(made.facts.metrics["returned"])
        assert made.facts.seconds and made.facts.seconds > 0
    assert watch.begun == [StageName.INGEST]


def test_only_what_was_not_appended_before_is_read(data: Path, tmp_path: Path) -> None:
    def files(appended: list[Path]) -> IngestFiles:
        with source_files(data / "interactions.csv", None, AS_THEY_ARE, None, appended) as found:
            return found

    rows = [f"u{n},i{n},{1_700_000_000 + n}" for n in range(3)]
    later = [tmp_path / f"{n}.csv" for n in range(3)]
    for path, row in zip(later, rows, strict=True):
        path.write_text(f"user_id,item_id,timestamp\n{row}\n")
    watch = Watch()
    workspace = Workspace(tmp_path / "work", runtime=Runtime(), stages=watch)
    counts = [workspace.ingest(files(later[:n])).shape.counts["interactions"] for n in (0, 2, 3, 1)]
    assert [count - counts[0] for count in counts] == [0, 2, 3, 1]
    assert watch.begun == [StageName.INGEST] * 4


def test_a_stage_that_was_finished_but_not_tidied_up_is_tidied_up_later(
    data: Path, tmp_path: Path
) -> None:
    prune(data, tmp_path / "out", options(None), work=tmp_path / "work")
    (kept, *_) = (tmp_path / "work" / "artifacts").glob("*/facts.json")
    left = tmp_path / "work" / "checkpoints" / kept.parent.name
    left.mkdir()
    (left / "model.pt").touch()
    prune(data, tmp_path / "out", options(None), work=tmp_path / "work")
    assert not left.exists()


def test_a_data_set_made_in_memory_is_saved_once(data: Path, tmp_path: Path) -> None:
    result = prune(data, tmp_path / "out", options(None), work=tmp_path / "work")
    (folder,) = (path.parent for path in (tmp_path / "work").rglob("dataset.json"))
    dataset = Dataset.load(folder)
    workspace = Workspace(tmp_path / "other", runtime=Runtime(), stages=silent_stages)
    kept = workspace.keep(dataset)
    assert workspace.keep(dataset) == kept
    assert Dataset.load(kept).sha256 == result.coreset.manifest["dataset"]["sha256"]


def test_a_full_disk_is_an_error_after_which_the_same_call_goes_on(
    data: Path, tmp_path: Path, full_disk: SmallDisk
) -> None:
    work, out = full_disk.folder / "work", tmp_path / "out"
    with pytest.raises(OSError, match="No space left"):
        prune(data, out, options(None), work=work)
    full_disk.free()
    result = prune(data, out, options(None), work=work)  # the two are on different file systems
    assert (out / "members.parquet").is_file() and result.coreset.size == BUDGET
    assert not list(work.rglob("*.part"))
