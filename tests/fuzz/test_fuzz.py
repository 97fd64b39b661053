"""The short form of ``make fuzz``: both databases, one of them with keys."""

from pathlib import Path

import pytest

from tests.fuzz.campaign import SHORT, run_campaign
from tests.fuzz.server import serve


@pytest.mark.timeout(900)
@pytest.mark.parametrize("shape", ["sqlite", "postgres"])
def test_no_request_finds_what_the_document_does_not_say(
    shape: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres_url") if shape == "postgres" else None
    with serve(tmp_path, url, keys=shape == "postgres") as server:
        tally = run_campaign(server, cases=300, seed=1, depth=SHORT)
    assert tally.failures == {}
    assert tally.cases >= 300
    assert tally.statuses[200] + tally.statuses[201] >= 50
