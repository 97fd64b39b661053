"""The short form of ``make fuzz``: PostgreSQL, with keys. The long form takes SQLite as well."""

from pathlib import Path

import pytest

from tests.fuzz.campaign import SHORT, run_campaign
from tests.fuzz.server import serve


@pytest.mark.timeout(900)
def test_no_request_finds_what_the_document_does_not_say(tmp_path: Path, postgres_url: str) -> None:
    with serve(tmp_path, postgres_url, keys=True) as server:
        tally = run_campaign(server, cases=300, seed=1, depth=SHORT)
    assert tally.failures == {}
    assert tally.cases >= 300
    assert tally.statuses[200] + tally.statuses[201] >= 50
