"""How far the time left of a job is from the truth, over small jobs of different kinds.

``python -m benchmarks.time_left`` starts a server with its worker, runs the jobs one after another, and
asks each of them for ``eta_seconds`` until it ends. It prints for each job the error of the first answer
after a fifth of its time, ``|said - true| / true``, and the median of all. The first job of a kind is
estimated by the reference machine, the others by those before.
"""

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks._server import served
from dealrec.app.settings import Settings
from dealrec.client import Client
from dealrec.client.resources import Job
from dealrec.data.synthetic import write_sample_data

_KINDS: dict[str, dict[str, Any]] = {
    "default": {},
    "long surrogate": {"surrogate": {"epochs": 60}},
    "wide surrogate": {"surrogate": {"hidden_size": 128, "epochs": 30}},
    "another surrogate": {"surrogate": {"model": "gru4rec", "epochs": 15}},
    "vectors": {"selection": {"method": "k_center"}},
    "difficulty": {"selection": {"method": "el2n"}},
    "effort of candidates": {
        "effort": {"candidates": 2},
        "selection": {"method": "dealrec"},
    },
    "adapter": {"finetune": {"epochs": 1}},
}
_AFTER = 0.2


def _measured(client: Client, job: Job[Any]) -> tuple[float, float | None, float | None]:
    """The job's seconds from its start, and what it said after a fifth of them, and what was true."""
    said: list[tuple[float, float | None]] = []
    began = None
    while job.state not in ("succeeded", "failed", "cancelled"):
        job = client.jobs.get(job.id)
        if job.state == "running":
            began = began or time.monotonic()
            said.append((time.monotonic() - began, job.eta_seconds))
        time.sleep(0.2)
    if job.state != "succeeded" or began is None:
        raise SystemExit(f"{job.id} is {job.state}: {job.error}")
    whole = time.monotonic() - began
    at, eta = next((one for one in said if one[0] >= _AFTER * whole), said[-1])
    return whole, eta, whole - at


def main() -> None:
    """Run the jobs and print the errors."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="jobs of each kind (default: 3)")
    parser.add_argument(
        "--users", type=int, nargs="+", default=[600, 1500], help="sizes of the data"
    )
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as scratch,
        served(Settings(data_dir=Path(scratch) / "data")) as (url, _),
    ):
        client, datasets = Client(url), []
        for users in given.users:
            folder = Path(scratch) / f"sample{users}"
            write_sample_data(folder, users=users, items=300)
            made = client.datasets.create(folder / "interactions.csv", items=folder / "items.csv")
            datasets.append(made.wait().id)
        jobs = [(kind, round_) for round_ in range(given.rounds) for kind in _KINDS]
        draw, errors = random.Random(0), []
        for kind, round_ in jobs:
            config = {
                **_KINDS[kind],
                "surrogate": {"seed": round_, **_KINDS[kind].get("surrogate", {})},
            }
            job = client.jobs.create(draw.choice(datasets), budget=20, config=config)
            whole, eta, true = _measured(client, job)
            error = None if eta is None or not true else abs(eta - true) / true
            shown = "-" if error is None else f"{100 * error:5.0f} %"
            print(
                f"{kind:22} {round_ + 1}. {whole:6.1f} s, said {eta} of {true:.1f}: {shown}",
                flush=True,
            )
            errors.append(float("inf") if error is None else error)
    later = errors[len(_KINDS) :]
    print(f"median of all {len(errors)}: {100 * statistics.median(errors):.0f} %")
    if later:
        print(f"median from the second job of a kind on: {100 * statistics.median(later):.0f} %")


if __name__ == "__main__":
    main()
