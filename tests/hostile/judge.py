"""Judges whether each attack got the answer that it must get."""

from tests.hostile.files import MEBI
from tests.hostile.formats import FILES
from tests.hostile.forms import REQUESTS
from tests.hostile.run import Outcomes

LARGEST_GROWTH = 100 * MEBI
"""Resident memory that the API may have gained over all attacks."""


def judged_request(name: str, outcomes: Outcomes) -> str | None:
    """The fault of the answer, if it has one."""
    request, got = REQUESTS[name], outcomes.answers[name]
    wanted = (request.status, request.code)
    return None if got == wanted else f"{name}: {got}, not {wanted}"


def judged_file(name: str, outcomes: Outcomes) -> str | None:
    """The fault of the data set, if it has one."""
    file, dataset = FILES[name], outcomes.datasets[name]
    error, report = dataset["error"], dataset["report"]
    got = dataset["state"] if error is None else error["code"]
    if got not in (file.expected, file.faster):
        return f"{name}: {got}, not {file.expected}"
    if file.told is not None:
        entries = [*report["rejections"], *report["warnings"]]
        told = {entry.get("reason") or entry.get("code") for entry in entries}
        if file.told not in told:
            return f"{name}: told {sorted(told)}, not {file.told}"
    if file.shown is not None and dataset["name"] != file.shown.split(".", 1)[0]:
        return f"{name}: shown as {dataset['name']!r}"
    return None
