"""The client's calls against a service that works."""

import asyncio
import json
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from dealrec.app.kit.database import Database
from dealrec.app.settings import Settings
from dealrec.client import ApiError, AsyncClient, Client
from dealrec.client.resources import Job
from dealrec.client.transport import BlockingTransport
from dealrec.config import PruneConfig
from dealrec.config.comparison import CONTROLS
from dealrec.errors import DealrecError, InputError
from tests.app.conftest import Finished
from tests.dealrec.client.conftest import CONFIG, ENDLESS, Run, Service, served


def test_one_line_from_a_file_to_the_samples(client: Client, data: Path, tmp_path: Path) -> None:
    table = client.prune(data, budget=12, config=CONFIG).wait().coreset.to_arrow()
    assert table.num_rows == 12
    assert {"sample_key", "instruction", "overall", "stratum"} <= set(table.column_names)
    report = next(client.coresets.list()).download_report(tmp_path / "report.html")
    assert "<html" in report.read_text()


def test_the_same_on_an_event_loop(service: Service, data: Path) -> None:
    async def flow() -> tuple[int, int, list[str]]:
        async with AsyncClient(service.url) as client:
            job = await (await client.prune(data, budget=12, config=CONFIG)).wait()
            coreset = await job.coreset
            table, sweep = await asyncio.gather(coreset.to_arrow(), job.budget_sweep([4, 8]))
            keys = [sample.sample_key async for sample in coreset.samples()]
        return table.num_rows, len(sweep), keys

    rows, points, keys = asyncio.run(flow())
    assert (rows, points, len(set(keys))) == (12, 2, 12)


def test_the_blocking_client_works_within_a_running_loop(service: Service) -> None:
    async def listed() -> int:
        with Client(service.url) as client:
            return len(list(client.datasets.list()))

    assert asyncio.run(listed()) >= 0


def test_a_data_set_is_made_judged_read_and_deleted(
    client: Client, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    renamed = data.with_name("reviews.csv")
    renamed.write_text(data.read_text().replace("user_id", "reviewer", 1))
    made = client.datasets.create(renamed, name="mine", columns={"user_id": "reviewer"})
    ready = made.wait(timeout=30, progress=True)
    assert "ingest: started" in capsys.readouterr().err
    assert (ready.state, ready.name, ready.split) == ("ready", "mine", "global_time")
    assert ready.counts is not None and ready.counts["users"] == 60
    samples = list(ready.samples("per_interaction"))
    assert len(samples) == ready.counts["samples_per_interaction"] > 200  # more than a page
    assert ready.id in [dataset.id for dataset in client.datasets.list()]
    ready.delete()
    with pytest.raises(ApiError, match="no data set") as caught:
        client.datasets.get(ready.id)
    assert (caught.value.status, caught.value.code) == (404, "not_found")


def test_a_data_set_grows(client: Client, run: Run, data: Path, tmp_path: Path) -> None:
    later = tmp_path / "later.csv"
    later.write_text("user_id,item_id,timestamp\nu1,i77,2000000\n")
    first = client.datasets.create(data).wait(timeout=30)
    second = first.append(later).wait(timeout=30)
    assert (second.version, second.parent_sha256) == (2, first.sha256)
    assert second.counts and first.counts
    assert second.counts["interactions"] == first.counts["interactions"] + 1
    done = run("append", second.id, later)
    assert done.exit_code == 0, done.stderr
    assert "appended: 0 interactions" in done.stderr
    third = done.stdout.strip()
    assert [one.id for one in first.versions()] == [third, second.id, first.id]
    assert client.datasets.get(third).sha256 == second.sha256


def test_an_append_starts_a_job_that_goes_on(
    client: Client, run: Run, finished: Finished, tmp_path: Path
) -> None:
    later = tmp_path / "later.csv"
    later.write_text("user_id,item_id,timestamp\nu1,i77,2000000\n")
    how = ("--continue-from", finished.job, "--carry", "replace", "--budget", "9")
    done = run("append", finished.dataset, later, *how)
    assert done.exit_code == 0, done.stderr
    version, job_id = done.stdout.split()
    job = client.jobs.get(job_id).cancel()
    assert (job.dataset_id, job.continue_from) == (version, finished.job)
    assert job.continuation and job.continuation["coreset"] == "replace"
    assert job.config["surrogate"] == client.jobs.get(finished.job).config["surrogate"]
    refused = run("append", finished.dataset, later, "--carry", "replace")
    assert refused.exit_code == 2 and "--continue-from" in refused.stderr
    fresh = run("append", finished.dataset, later, *how, "--replay", "0.5")
    assert fresh.exit_code == 2 and "`replay` needs `adapter`" in fresh.stderr


def test_samples_with_texts_of_their_own_come_out_as_they_went_in(
    client: Client, tmp_path: Path
) -> None:
    turns = [
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": f"After row {at}?"},
            {"role": "assistant", "content": f"{at}."},
        ]
        for at in range(24)
    ]
    rows: list[dict[str, Any]] = [
        {"sample_id": f"s{at}", "user_id": f"u{at % 6}", "messages": messages, "target": f"i{at % 7}",
         "history": [f"i{(at + step) % 9}" for step in range(3)]}
        for at, messages in enumerate(turns)
    ]  # fmt: skip
    samples = tmp_path / "samples.jsonl"
    samples.write_text("\n".join(map(json.dumps, [*rows, {"sample_id": "bad"}])))
    job = client.prune(samples=samples, budget=8, config=CONFIG).wait()
    dataset = client.datasets.get(job.dataset_id)
    assert dataset.counts is not None and dataset.counts["samples_given"] == 24
    assert any("1 invalid_texts" in line for line in dataset.validation)
    assert [text.sample_key for text in dataset.samples()] == sorted(
        row["sample_id"] for row in rows
    )
    coreset = job.coreset
    kept = coreset.download(tmp_path / "chat.jsonl", format="messages").read_text().splitlines()
    by_key = {row["sample_id"]: row["messages"] for row in rows}
    assert [json.loads(line)["messages"] for line in kept] == [
        by_key[sample.sample_key] for sample in coreset.samples()
    ]
    assert len(kept) == 8


def test_a_rejected_data_set_raises_why(client: Client, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ApiError) as caught:
        client.datasets.create(tmp_path / "bad.csv").wait(timeout=30)
    assert caught.value.code == "missing_column"


def test_a_job_is_estimated_made_followed_and_found(client: Client, data: Path) -> None:
    dataset = client.datasets.create(data).wait(timeout=30)
    config = PruneConfig.model_validate(CONFIG)
    estimate = client.jobs.estimate(dataset.id, budget=0.2, config=config)
    assert [stage.name for stage in estimate.stages] == ["surrogate", "influence", "select"]
    job = client.jobs.create(dataset.id, budget=0.2, config=config, metadata={"for": "test"})
    events = list(job.follow())
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert events[-1].kind == "job.succeeded"
    assert list(job.events(after=2)) == events[2:]
    found = client.jobs.get(job.id)
    assert found.metadata == {"for": "test"}
    assert found.config["surrogate"]["hidden_size"] == 8
    assert found.budget is not None
    assert found.budget.samples == found.coreset.size
    assert job.id in [one.id for one in client.jobs.list(dataset_id=dataset.id, state="succeeded")]
    going_on: dict[str, Any] = {"continue_from": job.id, "continuation": {"surrogate_epochs": 1}}
    cheaper = client.jobs.estimate(dataset.id, budget=0.2, config=config, **going_on)
    assert [stage.reused for stage in cheaper.stages] == [False] * 3


def test_a_job_is_paused_resumed_and_cancelled(client: Client, data: Path) -> None:
    job = client.prune(data, budget=5, config=ENDLESS)
    job.pause()
    assert job.wait(timeout=30).state == "paused"
    assert job.resume().state in ("queued", "running")
    with pytest.raises(ApiError, match="has not finished") as caught:
        job.wait(timeout=0.1)
    assert caught.value.code == "wait_timed_out"
    job.cancel()
    with pytest.raises(ApiError) as caught:
        job.wait(timeout=30)
    assert caught.value.code == "job_cancelled"
    with pytest.raises(ApiError) as caught:
        job.retry()
    assert (caught.value.status, caught.value.code) == (409, "job_not_failed")
    assert caught.value.problem["state"] == "cancelled"
    job.delete()


def test_scores_are_kept_and_selected_from_again(client: Client, finished: Finished) -> None:
    job = client.jobs.get(finished.job)
    scores = job.scores()
    assert scores.num_rows == 60 and sum(scores["selected"].to_pylist()) == 12
    assert sum(job.histogram("influence", bins=7).all) == 60
    other = job.reselect(6, selection={"strata": 3})
    assert (other.size, other.selection["strata"]) == (6, 3)
    assert {coreset.id for coreset in job.coresets()} == {finished.coreset, other.id}
    diff = other.diff(finished.coreset)
    assert (diff.kept + diff.gained, diff.kept + diff.lost) == (6, 12)
    scored = list(other.scored_samples(sort="influence", descending=True, selected=True))
    assert len(scored) == 6 and all(sample.selected and sample.input for sample in scored)
    influences = [sample.influence or 0.0 for sample in scored]
    assert influences == sorted(influences, reverse=True)
    assert len(list(other.scored_samples(stratum=scored[0].stratum))) < 60
    assert other.verdicts() == []
    key = scores["sample_key"][0].as_py()
    assert other.explain(key).sample_key == key
    shape = client.datasets.get(other.dataset_id).shape()
    assert shape.splits.train and shape.popularity[-1].share_of_interactions == 1
    alike = other.neighbours(key, limit=3)
    assert len(alike) == 3 and key not in [one.sample_key for one in alike]
    assert alike[0].similarity >= alike[1].similarity
    assert other.manifest()["sha256"] == other.sha256
    other.delete()
    assert [coreset.id for coreset in job.coresets()] == [finished.coreset]


def test_a_selector_that_needs_more_is_waited_for(client: Client, data: Path) -> None:
    job = client.prune(data, budget=12, config=CONFIG).wait(timeout=60)
    coreset = job.reselect(5, selection={"method": "k_center"}, timeout=60)
    assert coreset.size == 5
    assert coreset.job_id != job.id


def test_files_come_in_every_format(client: Client, finished: Finished, tmp_path: Path) -> None:
    coreset = client.coresets.get(finished.coreset)
    lines = coreset.download(tmp_path / "coreset.jsonl").read_text().splitlines()
    alpaca = json.loads(coreset.download(tmp_path / "alpaca.json", format="alpaca").read_text())
    assert [json.loads(line)["output"] for line in lines] == [one["output"] for one in alpaca]
    job = client.jobs.get(finished.job)
    csv = job.download_scores(tmp_path / "scores.csv", format="csv").read_text()
    assert csv.startswith('"sample_key"')
    assert [path.name for path in tmp_path.glob("*.part")] == []


def test_finetunes_and_adapters_are_reached(
    client: Client, finished: Finished, tmp_path: Path
) -> None:
    adapter = client.jobs.get(finished.finetune).adapter
    assert adapter.id in [one.id for one in client.adapters.list()]
    name = "adapter_config.json"
    assert adapter.download_file(name, tmp_path / name).read_text() == "{}"
    job = client.coresets.get(finished.coreset).finetune({"epochs": 1})
    assert (job.kind, job.source_coreset_id) == ("finetune", finished.coreset)
    job.cancel()
    adapter.delete()
    with pytest.raises(ApiError, match="no adapter"):
        client.adapters.get(finished.adapter)


def test_a_comparison_is_a_job(client: Client, finished: Finished) -> None:
    asked: dict[str, Any] = {"selectors": ["dealrec", {"method": "influence"}], "seeds": 2}
    estimate = client.jobs.estimate_comparison(finished.dataset, budgets=[10], **asked)
    job = client.jobs.compare(finished.dataset, budgets=[10], **asked)
    job.cancel()
    assert estimate.trainings == 2 * (len(CONTROLS) + 2) + 3
    assert [stage.name for stage in estimate.stages] == [stage.name for stage in job.stages]
    assert job.kind == "comparison"
    assert [stage.name for stage in job.stages][:3] == ["surrogate", "headroom", "influence"]
    with pytest.raises(ApiError) as caught:
        job.report()
    assert caught.value.status in (404, 409)


def test_what_can_be_chosen_is_listed(client: Client) -> None:
    added = client.add_model("hub", "org/one", "a" * 40, {"licence": "mit"})
    assert (added.available, added.licence) == (False, "mit")
    assert [model.name for model in client.models()] == ["smollm2-135m", "hub"]
    client.remove_model("hub")
    assert [model.name for model in client.models()] == ["smollm2-135m"]
    assert "encoder" in [choice.name for choice in client.recommenders()]
    assert "sasrec" in [choice.name for choice in client.surrogates()]
    state = client.server()
    assert [queue.queue for queue in state.queues] == ["cpu", "gpu"]
    assert state.storage.free_bytes
    layout = next(layout for layout in client.layouts() if layout.name == "movielens-1m")
    assert layout.interactions[0].format["separator"] == "::"
    assert layout.items[0].columns == {"item_id": "item_id", "title": "title"}
    assert "dealrec" in [choice.name for choice in client.selectors()]


def test_what_a_newer_service_adds_is_kept(service: Service, finished: Finished) -> None:
    body = httpx.get(f"{service.url}/v1/jobs/{finished.job}", timeout=60).json()
    newer = {**body, "state": "hibernating", "carbon_grams": 3}
    with Client(service.url) as client:
        job = Job[BlockingTransport].received(client.transport, newer)
        assert job.state == "hibernating"
        assert job.model_extra is not None and job.model_extra["carbon_grams"] == 3
        assert job.coreset.id == finished.coreset


def test_a_problem_is_one_typed_error(client: Client, data: Path) -> None:
    with pytest.raises(DealrecError) as caught:
        client.prune(data, budget=12, config={"selection": {"strata": 0}})
    error = caught.value
    assert isinstance(error, ApiError)
    assert (error.status, error.code, error.exit_status) == (422, "invalid_config", 2)
    assert error.errors[0].location == "config.selection.strata"
    assert error.to_problem()["title"] == error.title


def test_what_is_not_there_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file"):
        Client("http://127.0.0.1:1").prune(tmp_path / "none.csv", budget=1)
    with pytest.raises(InputError, match="http://"):
        Client("127.0.0.1:8000")


def test_a_key_is_sent_and_never_shown(tmp_path: Path) -> None:
    key = f"dr_{token_hex(20)}"
    settings = Settings(data_dir=tmp_path / "keyed", bootstrap_key=SecretStr(key))
    database = Database(settings)
    database.migrate()
    database.dispose()
    with served(settings) as url:
        with Client(url, key) as client:
            assert list(client.jobs.list()) == []
            assert key not in repr(client.transport.server)
        with Client(url) as client, pytest.raises(ApiError) as caught:
            client.selectors()
    assert (caught.value.status, caught.value.code) == (401, "unauthenticated")
    assert caught.value.exit_status == 2


def test_methods_show_what_they_take() -> None:
    import inspect

    assert list(inspect.signature(Client().jobs.get).parameters) == ["identifier"]
    assert list(inspect.signature(AsyncClient().jobs.get).parameters) == ["identifier"]
