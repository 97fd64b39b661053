"""Summarises the data set's shape."""

import json

from dealrec.data.audit import audit
from dealrec.stages.context import StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """Write ``audit.json``. The metrics are the same figures; see :func:`dealrec.data.audit.audit`."""
    assert context.config.audit is not None
    found = audit(context.load_dataset(None), context.config.audit.popular)
    (context.out / "audit.json").write_text(json.dumps(found, indent=2) + "\n")
    context.reporter.progress(1, 1, "data set")
    return StageResult(metrics=found)
