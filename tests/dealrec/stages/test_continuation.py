"""A job that goes on from an earlier one: what it keeps, what it makes anew, what it says of both."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from dealrec.config import DataOptions, PruneConfig, Sampling
from dealrec.config.continuation import DATASET, Continuation
from dealrec.config.language_models import content_sha256
from dealrec.config.stages import StageName
from dealrec.coresets.differences import differences
from dealrec.coresets.writer import MANIFEST, MEMBERS
from dealrec.data.append import append
from dealrec.data.ingest import ingest
from dealrec.data.samples import build_samples
from dealrec.earlier_runs import EarlierRun
from dealrec.effort.scores import EffortScores
from dealrec.errors import InputError
from dealrec.language_models.adapters import ADAPTER_FILES, adapted_revision
from dealrec.progress import SILENT, Reporter
from dealrec.prune_result import PruneResult
from dealrec.stages import earlier
from dealrec.stages.earlier import earlier_members, kept_effort
from tests.dealrec.stages.runs import options, prune


@pytest.fixture(scope="module")
def config(model: str) -> dict[str, Any]:
    small = options(None)
    return {**small, "effort": {"model": model, "max_tokens": 128}}


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """Rows of a new user, with an item that is new and comes first by its id."""
    path = tmp_path_factory.mktemp("later") / "later.csv"
    known = (data / "interactions.csv").read_text().splitlines()
    rows = [line.split(",") for line in known[1:5]]
    header = known[0].split(",")
    for at, row in enumerate(rows):
        row[header.index("user_id")] = "zz-new"
        if at == 1:
            row[header.index("item_id")] = "!new"
    path.write_text("\n".join([known[0], *(",".join(row) for row in rows), ""]))
    return path


@pytest.fixture(scope="module")
def first(
    data: Path, config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> PruneResult:
    return prune(data, tmp_path_factory.mktemp("first"), config, budget=12)


def scores(result: PruneResult) -> dict[str, dict[str, Any]]:
    rows = pq.read_table(result.folder / "scores.parquet").to_pylist()
    return {row["sample_key"]: row for row in rows}


def test_a_job_goes_on_from_the_last_one_and_says_what_it_kept(
    data: Path, config: dict[str, Any], later: Path, first: PruneResult, tmp_path: Path
) -> None:
    given: dict[str, Any] = {"appended": [later], "work": first.folder / ".work"}
    continuation = Continuation(surrogate_epochs=1, surrogate_replay=0.25, coreset="top_up")
    on = prune(
        data,
        tmp_path / "on",
        config,
        budget=16,
        continue_from=first.folder,
        continuation=continuation,
        **given,
    )
    full = prune(data, tmp_path / "full", config, budget=16, **given)
    told = on.coreset.manifest["stages"]
    assert told["surrogate"]["epochs"] == 1
    kept = told["surrogate"]["continued"]
    assert kept["items_kept"] == 30 and kept["items_new"] == 1
    assert kept["earlier_epochs"] == [first.coreset.manifest["stages"]["surrogate"]["epochs"]]
    users = [kept[f"users_{which}"] for which in ("changed", "repeated", "left_out")]
    assert users[0] == 1 and all(users) and told["surrogate"]["trained_users"] == sum(users[:2])
    assert (
        0 < kept["left_out_asked"] < kept["interactions_left_out"]
    )  # the first of a user has no history
    assert kept["left_out_loss_before"] > 0 and kept["left_out_loss_after"] > 0
    moved = told["surrogate"]["drift"]
    assert moved["new_rows"] == 4 and 0 < moved["asked"] < 4  # the first row has nothing before it
    assert told["surrogate"]["earlier_loss_on_new_rows"] == moved["loss"] > 0
    report = (on.folder / "report.html").read_text()
    assert "the loss of the earlier surrogate on" in report
    assert f"and did not learn {users[2]} users again" in report
    effort = told["effort"]["continued"]
    measured = told["effort"]["samples"]
    assert (effort["rechecked"], effort["bound"]) == (4, 1e-3)
    assert effort["largest_relative_difference"] < effort["bound"]
    assert measured - effort["rechecked"] + effort["kept"] + effort["rechecked"] == len(scores(on))
    assert 0 < measured - effort["rechecked"] < effort["kept"]
    ours, theirs = scores(on), scores(full)
    assert ours.keys() == theirs.keys() and "zz-new" in ours
    for key, row in ours.items():
        assert row["effort"] == pytest.approx(theirs[key]["effort"], rel=1e-3)
    found = differences(on.folder, full.folder)
    assert found.members == (16, 16) and found.samples == (len(ours), len(theirs))
    assert found.correlations["effort"] == pytest.approx(1, abs=0.01)
    both = [key for key in ours if ours[key]["selected"] and theirs[key]["selected"]]
    assert found.both == len(both) and found.jaccard == len(both) / (32 - len(both))
    assert "rank correlation of influence: " in found.lines()[2]
    before = {key for key, row in scores(first).items() if row["selected"]}
    now = {key for key, row in ours.items() if row["selected"]}
    assert before & ours.keys() <= now and len(now) == 16
    assert told["select"]["continued"]["members_kept"] == len(before & ours.keys())
    assert "continued" not in json.dumps(full.coreset.manifest["stages"])

    # The same call finds everything made, and the result can be gone on from in its turn.
    third = prune(
        data,
        tmp_path / "third",
        config,
        budget=16,
        continue_from=on.folder,
        continuation={"coreset": "replace", "replaced_share": 0.25, "surrogate_epochs": 1},
        **given,
    )
    told = third.coreset.manifest["stages"]
    assert told["effort"]["samples"] == 4 and told["effort"]["continued"]["kept"] > 0
    assert told["select"]["continued"]["members_new"] <= 4
    influence = np.array(
        [[ours[key]["influence"], scores(third)[key]["influence"]] for key in ours]
    )
    assert np.isfinite(influence).all()


def test_what_cannot_be_gone_on_from_is_said(
    data: Path, config: dict[str, Any], first: PruneResult, tmp_path: Path
) -> None:
    larger = {**config, "surrogate": {**config["surrogate"], "hidden_size": 16}}
    cases = [(tmp_path, config, 12), (first.folder, larger, 12), (first.folder, config, 3)]
    for number, (folder, asked, budget) in enumerate(cases):
        with pytest.raises(InputError) as refused:
            prune(
                data,
                tmp_path / str(number),
                asked,
                budget=budget,
                continue_from=folder,
                continuation={"coreset": "top_up", "surrogate_epochs": 1},
                work=first.folder / ".work",
            )
        assert refused.value.code == "continuation_not_possible"
    for lacking in (None, {"model": config["effort"]["model"]}):
        with pytest.raises(InputError, match="adapter"):
            prune(
                data,
                tmp_path / "lacking",
                {**config, "finetune": lacking},
                continue_from=first.folder,
                continuation={"adapter": True},
            )


def test_a_result_is_gone_on_from_in_its_own_folder_with_its_adapter(
    data: Path, model: str, later: Path, tmp_path: Path
) -> None:
    """The earlier adapter is needed until the new one is there, although the new coreset replaces it."""
    how = {"surrogate_epochs": 1, "adapter": True, "coreset": "top_up", "replay": 0.5}
    given: dict[str, Any] = {"data": data, "out": tmp_path / "result"}
    made = prune(config=options(model), budget=8, **given)
    more: dict[str, Any] = {**given, "budget": 12, "appended": [later]}
    going_on = {**more, "continue_from": made.folder, "continuation": how}

    def stopped(stage: StageName) -> Reporter:
        if stage is StageName.FINETUNE:
            raise KeyboardInterrupt
        return SILENT

    with pytest.raises(
        KeyboardInterrupt
    ):  # the coreset is new, and the adapter gone from beside it
        prune(config=options(model), stages=stopped, **going_on)
    assert not (made.folder / "adapter").exists()
    on = prune(config=options(model), **going_on)
    assert on.config.finetune is not None and on.config.finetune.from_adapter is not None
    start = Path(on.config.finetune.from_adapter)
    assert start.is_dir() and not start.is_relative_to(on.folder / "adapter")
    trained = EarlierRun.read(on.folder).folders[StageName.FINETUNE].parent
    metrics = json.loads((trained / "facts.json").read_text())["metrics"]
    kept = on.coreset.manifest["stages"]["select"]["continued"]["members_kept"]
    assert metrics["new_samples"] == 12 - kept and kept > 0
    assert metrics["replayed_samples"] == round(kept / 2)
    assert metrics["samples"] == metrics["new_samples"] + metrics["replayed_samples"]
    own = {
        **options(model),
        "finetune": {**options(model)["finetune"], "from_adapter": str(on.adapter)},
    }
    with pytest.raises(InputError, match="its own result would replace"):
        prune(config=own, **more)
    assert on.adapter is not None and (on.adapter / "adapter_model.safetensors").is_file()


def test_effort_is_kept_by_the_content_of_model_and_adapter_within_a_bound(
    data: Path, model: str, tmp_path: Path
) -> None:
    dataset = ingest(data / "interactions.csv", out=tmp_path / "data").dataset
    samples = build_samples(dataset)
    places: dict[str, Path] = {name: tmp_path / name for name in ("effort", "select")}
    for folder in (*places.values(), tmp_path / "one", tmp_path / "other"):
        folder.mkdir()
    for name in ADAPTER_FILES:
        (tmp_path / "one" / name).write_text("a")
        (tmp_path / "other" / name).write_text("a" if name == ADAPTER_FILES[0] else "b")
    scores = np.arange(len(samples), dtype=np.float64)
    EffortScores(scores, np.ones(len(samples), np.int32), {}).save(places[StageName.EFFORT])

    def asked(adapter: Path) -> PruneConfig:
        effort = {"model": model, "parameters": "lora", "adapter": str(adapter)}
        return PruneConfig.parse({"effort": effort})

    revision = adapted_revision(content_sha256(Path(model)), tmp_path / "one")
    written = {
        "config": asked(tmp_path / "elsewhere").model_dump(mode="json"),
        "stages": {"effort": {"revision": revision}},
    }
    (places[StageName.SELECT] / MANIFEST).write_text(json.dumps(written))
    folders: dict[str, Path] = {**places, DATASET: tmp_path / "data"}
    assert kept_effort(folders, asked(tmp_path / "other"), dataset, samples) is None
    kept = kept_effort(folders, asked(tmp_path / "one"), dataset, samples)
    assert kept is not None and kept.there.all()
    pool = np.arange(len(samples))
    again = np.full(len(samples), np.nan)
    again[kept.to_measure(pool)] = scores[kept.to_measure(pool)]
    assert 0 in kept.to_measure(pool)  # whose effort is 0, which no difference is divided by
    check = kept.recheck(EffortScores(again, kept.tokens, {}))
    assert (check.largest, check.holds) == (0.0, True)
    off = kept.recheck(EffortScores(again * 1.01, kept.tokens, {}))
    assert off.largest == pytest.approx(0.01, rel=0.02) and not off.holds


def test_kept_effort_that_is_not_found_again_is_not_used(
    data: Path, config: dict[str, Any], first: PruneResult, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(earlier, "_BOUNDS", {"float32": -1.0})
    on = prune(
        data,
        tmp_path / "on",
        config,
        budget=12,
        continue_from=first.folder,
        continuation={"surrogate_epochs": 1},
    )
    told = on.coreset.manifest["stages"]["effort"]
    assert told["continued"]["kept"] == 0 and told["samples"] == len(scores(on))


def test_members_are_known_again_by_what_was_chosen_and_not_by_their_place(tmp_path: Path) -> None:
    """A late row moves the places of all later choices of a user, which are part of a sample's key."""
    header = "user_id,item_id,timestamp\n"
    choices = "".join(f"u{n},i{k},{10 * k + 100}\n" for n in range(6) for k in range(6))
    (tmp_path / "a.csv").write_text(header + choices)
    (tmp_path / "b.csv").write_text(header + "".join(f"u{n},new,105\n" for n in range(6)))
    asked = DataOptions.parse({"split": "leave_one_out"}, location="data")
    before = ingest(tmp_path / "a.csv", options=asked, out=tmp_path / "before").dataset
    after = append(tmp_path / "before", tmp_path / "b.csv", out=tmp_path / "after").dataset
    old, new = (build_samples(data, Sampling.PER_INTERACTION) for data in (before, after))
    chosen = before.item_ids.to_pylist().index("i1")
    members = old.keys(before).filter(pa.array(old.targets == chosen))
    folder = tmp_path / "select"
    folder.mkdir()
    written = PruneConfig(sampling=Sampling.PER_INTERACTION, effort=None).model_dump(mode="json")
    (folder / MANIFEST).write_text(json.dumps({"config": written}))
    pq.write_table(pa.table({"sample_key": members}), folder / MEMBERS)
    places = {StageName.SELECT: folder, DATASET: tmp_path / "before"}
    found = earlier_members(places, after, new)
    at = pc.index_in(found, value_set=new.keys(after)).to_numpy()
    assert {after.item_ids[int(new.targets[one])].as_py() for one in at} == {"i1"} and len(at) == 6
