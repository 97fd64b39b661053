"""The short form of ``make hostile``: all requests, and the quick ones of the files."""

import pytest

from tests.hostile.formats import FILES
from tests.hostile.forms import REQUESTS
from tests.hostile.judge import LARGEST_GROWTH, judged_file, judged_request
from tests.hostile.run import Outcomes, attack

pytestmark = pytest.mark.timeout(900)  # as long as a busy machine may need
QUICK = {name: file for name, file in FILES.items() if file.quick}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    return attack(tmp_path_factory.mktemp("hostile"), QUICK, REQUESTS)


@pytest.mark.parametrize("name", REQUESTS)
def test_a_hostile_request_gets_its_code(outcomes: Outcomes, name: str) -> None:
    assert judged_request(name, outcomes) is None


@pytest.mark.parametrize("name", QUICK)
def test_a_hostile_file_gets_its_code(outcomes: Outcomes, name: str) -> None:
    assert judged_file(name, outcomes) is None


def test_nothing_is_left_and_the_server_is_as_it_was(outcomes: Outcomes) -> None:
    assert outcomes.left == []
    assert outcomes.answers_still
    assert outcomes.growth < LARGEST_GROWTH
