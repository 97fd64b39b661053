"""The pictures of the console in the documentation; ``make pictures`` takes them anew.

It is no test, so only its name collects it. A server of its own gets sample data, runs a job and a comparison
on them, and is looked at in Chromium.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from dealrec.client import Client
from dealrec.data.synthetic import write_sample_data
from tests.browser.conftest import Server, Watched

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
_TENANT = "pictures"
_WIDTH, _HEIGHT = 1120, 720
_HOUR = 3600.0


@pytest.mark.timeout(_HOUR)
def test_pictures(server: Server, open_page: Callable[..., Watched], tmp_path: Path) -> None:
    """Take every picture; it takes minutes."""
    paths = dict(_paths(server, tmp_path))
    PICTURES.mkdir(exist_ok=True)
    for name, look in PAGES.items():
        watched = open_page(_WIDTH, _TENANT)
        watched.page.set_viewport_size({"width": _WIDTH, "height": _HEIGHT})
        look(watched.page, paths)
        for loading in ("Drawing…", "Estimating"):
            expect(watched.page.get_by_text(loading)).to_have_count(0)
        watched.page.screenshot(path=PICTURES / f"{name}.png")
        assert not watched.errors, name


def _paths(server: Server, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the pages of finished work by the kind of what they show."""
    write_sample_data(folder, users=1000, items=500)
    with Client(server.url, server.key(_TENANT)) as client:
        dataset = client.datasets.create(
            folder / "interactions.csv", items=folder / "items.csv", name="Games"
        )
        job = client.jobs.create(dataset.id, budget=0.1).wait(timeout=_HOUR)
        comparison = client.jobs.compare(
            dataset.id,
            budgets=[100],
            selectors=["thinned_influence"],
            seeds=3,
            full_data_runs=1,
            despite_no_headroom=True,
        ).wait(timeout=_HOUR)
    yield "dataset", f"/console/datasets/{dataset.id}"
    yield "job", f"/console/jobs/{job.id}"
    yield "coreset", f"/console/coresets/{job.coreset_id}"
    yield "comparison", f"/console/jobs/{comparison.id}/report"


Look = Callable[[Page, dict[str, str]], object]


def _coreset(tab: str) -> Look:
    def look(page: Page, paths: dict[str, str]) -> None:
        page.goto(paths["coreset"])
        page.get_by_role("link", name=tab, exact=True).click()

    return look


def _new_job(page: Page, paths: dict[str, str]) -> None:
    page.goto(paths["dataset"])
    page.get_by_role("link", name="New job").click()


PAGES: dict[str, Look] = {
    "overview": lambda page, _paths: page.goto("/"),
    "dataset": lambda page, paths: page.goto(paths["dataset"]),
    "new-job": _new_job,
    "job": lambda page, paths: page.goto(paths["job"]),
    "coreset": lambda page, paths: page.goto(paths["coreset"]),
    "scores": _coreset("Scores"),
    "compare": _coreset("Compare"),
    "comparison": lambda page, paths: page.goto(paths["comparison"]),
}
"""What is looked at, by the name of its picture."""
