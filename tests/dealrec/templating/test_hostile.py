import re
import time

import pytest

from dealrec.config import PruneConfig
from dealrec.errors import InputError
from tests.dealrec.templating.hostile import HISTORY, HOSTILE


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_template_is_refused_at_once_and_the_reason_is_said(name):
    template, reason = HOSTILE[name]
    started = time.process_time()
    for source in (template, template + HISTORY):
        with pytest.raises(InputError) as refused:
            PruneConfig.parse({"prompt": {"template": source}})
    assert time.process_time() - started < 1
    (error,) = refused.value.errors
    assert error.location == "config.prompt.template"
    assert re.search(reason, error.message)
    assert "0x" not in error.message
