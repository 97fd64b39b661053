"""Commands that list, stop and continue, and that ask about selections."""

import json
import shlex
import socket
from types import SimpleNamespace
from typing import Any

import pytest

import dealrec.client.asking
from tests.app.conftest import Finished
from tests.dealrec.client.conftest import Run
from tests.dealrec.test_cli import COMMAND, leaves, lines_of

READ = {
    "cancel",
    "pause",
    "resume",
    "retry",
    "submit",
    "submit-comparison",
    "report",
    "upload",
    "append",
}
"""Commands that need more than a finished job, and are tried by tests of their own."""


def test_examples_of_commands_that_ask_a_server_run(
    run: Run, finished: Finished, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, client: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    other = client.jobs.get(finished.job).reselect(6)
    sample = next(other.samples()).sample_key
    known = {
        "job_01hxyz": finished.job,
        "ds_01hxyz": finished.dataset,
        "cs_01hxyz": finished.coreset,
        "cs_01habc": other.id,
        "ad_01hxyz": finished.adapter,
        "sch_01hxyz": client.schedules.create(
            finished.dataset, name="x", trigger={"kind": "on_version"}, budget=5
        ).id,
        "wh_01hxyz": finished.webhook,
        "msg_01hxyz": finished.delivery,
        "https://example.com/hooks": "https://1.1.1.1/hooks",
        "17": sample,
    }
    tried = 0
    for name, command in leaves(COMMAND):
        if name in READ or not any(parameter.name == "server" for parameter in command.params):
            continue
        for line in lines_of(command):
            arguments = [known.get(word, word) for word in shlex.split(line)[1:]]
            if "method=dealrec" in arguments:
                arguments += ["--set", "effort_weight=0"]
            done = run(*arguments)
            assert done.exit_code == 0, f"{line}: {done.stderr}"
            tried += 1
    assert tried >= 15


def test_lists_are_tables_that_say_when_there_is_more(
    run: Run, client: Any, finished: Finished
) -> None:
    one = run("jobs", "list", "--dataset", finished.dataset, "--limit", "1")
    assert len(one.stdout.splitlines()) == 1
    assert "There are more" in one.stderr
    both = run("jobs", "list", "--dataset", finished.dataset).stdout.splitlines()
    assert len(both) == 2
    (line,) = (line for line in both if line.startswith(finished.job))
    assert "12 samples" in line and finished.coreset in line
    assert line.endswith(client.jobs.get(finished.job).name)
    made = run("coresets", "list", "--job", finished.job).stdout
    assert made.strip().endswith(client.coresets.get(finished.coreset).name)
    none = run("comparisons", "list", "--dataset", finished.dataset)
    assert none.stdout == ""
    assert "There are none.\n" in none.stderr
    asked = json.loads(run("coresets", "list", "--job", finished.job, "--json").stdout)
    assert [entry["id"] for entry in asked["data"]] == [finished.coreset]
    assert asked["has_more"] is False
    assert "games" in run("datasets", "list").stdout


def test_a_job_is_paused_resumed_and_cancelled(run: Run, client: Any, data: Any) -> None:
    from tests.dealrec.client.conftest import ENDLESS

    job = client.prune(data, budget=5, config=ENDLESS)
    assert run("pause", job.id).stdout.split()[0] == job.id
    job.wait(timeout=60)
    assert client.jobs.get(job.id).state == "paused"
    assert run("resume", job.id).stdout.split()[1] in ("queued", "running")
    assert json.loads(run("cancel", job.id, "--json").stdout)["state"] in (
        "cancelling",
        "cancelled",
    )
    refused = run("retry", job.id)
    assert refused.exit_code == 2
    assert "cancel" in refused.stderr


def test_selections_are_made_explained_and_compared(
    run: Run, client: Any, finished: Finished
) -> None:
    made = json.loads(
        run("reselect", finished.job, "--budget", "10%", "--set", "strata=3", "--json").stdout
    )
    assert (made["size"], made["selection"]["strata"]) == (6, 3)
    told = run("diff", finished.coreset, made["id"]).stdout
    assert f"only in {made['id']}" in told and "Jaccard" in told
    same = run("diff", made["id"], made["id"]).stdout
    assert same.splitlines()[0] == "6 samples are in both; Jaccard similarity 1.000"
    one = client.jobs.get(finished.job).reselect(1, selection={"strata": 1}).id
    assert run("diff", one, one).stdout.startswith("1 sample is in both;")
    sample = next(client.coresets.get(made["id"]).samples()).sample_key
    reason = run("explain", made["id"], sample).stdout
    assert reason.startswith(f"{sample}: Selected: ") and "influence" in reason
    assert "\n  effort" not in reason
    alike = run("neighbours", finished.coreset, sample, "--limit", "3").stdout.splitlines()
    similar = [float(line.split()[0]) for line in alike]
    assert len(similar) == 3 and similar == sorted(similar, reverse=True)


def test_the_shape_of_a_data_set_and_the_state_of_a_server_are_said_in_words(
    run: Run, client: Any, finished: Finished
) -> None:
    found = client.datasets.get(finished.dataset).shape()
    told = run("datasets", "shape", finished.dataset).stdout
    assert f"interactions: {found.splits.train:,} for train, " in told
    assert f"training items of a user: median {found.figures['history_median']:g}," in told
    assert f"the {found.popularity[0].items:,} most popular items" in told
    state = run("status").stdout
    assert "queue cpu" in state and "queue gpu" in state
    assert "no worker has been seen" in state or "worker " in state
    assert "storage: " in state


def test_the_map_of_samples_is_fetched_and_an_area_of_it_listed(
    client: Any, finished: Finished
) -> None:
    coreset = client.coresets.get(finished.coreset)
    found = coreset.map()
    assert found.samples == len(found.points) and sum(found.explained) <= 1
    left = [one.sample_key for one in found.points if one.x < 0.45]
    area = [(-1, -1), (0.45, -1), (0.45, 2), (-1, 2)]
    assert [one.sample_key for one in coreset.scored_samples(area=area)] == left
    assert 0 < len(left) < found.samples


def test_everything_with_a_name_is_renamed(run: Run, client: Any, finished: Finished) -> None:
    assert run("rename", finished.coreset, "the best").stdout == f"{finished.coreset} the best\n"
    assert json.loads(run("rename", finished.job, "mine", "--json").stdout)["name"] == "mine"
    assert client.coresets.get(finished.coreset).name == "the best"
    refused = run("rename", "wh_01", "x")
    assert refused.exit_code == 2 and "begin with ds_, job_, cs_, ad_" in refused.stderr


def test_a_server_that_is_not_there_is_given_up_after_three_seconds(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock of its own, which only pauses move: the machine may be busy."""
    paused: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: sum(paused), sleep=paused.append)
    monkeypatch.setattr(dealrec.client.asking, "time", clock)
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        done = run("jobs", "list", "--server", url)
    assert 2 < sum(paused) <= 3
    assert done.exit_code == 1
    assert f"{url} does not answer; trying again for 3 s.\n" in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"The server cannot be reached: {url} did not answer")
    assert "`--server URL`" in last
