"""Checks, before the selectors of a comparison, whether there is anything to learn."""

from dealrec.comparison.checks import headroom_sentences
from dealrec.comparison.gate import measure_headroom
from dealrec.data.validation_users import Half
from dealrec.stages.compare import place_of
from dealrec.stages.context import StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """Keep the trainings on all samples for the comparison. The details say whether they taught anything."""
    comparison = context.comparison
    assert comparison is not None
    dataset, samples = context.load_samples(Half.ASKED)
    found = measure_headroom(dataset, samples, comparison, place_of(context))
    if not found.found:
        context.reporter.event("no_headroom", metric=found.metric, low=found.gain.low)
    (said,) = headroom_sentences(found, stopped=not found.found)
    return StageResult(
        {"stops": not found.found, "verdict": said, "headroom": found.model_dump(mode="json")},
        {"gain": found.gain.mean, "gain_low": found.gain.low, "gain_high": found.gain.high},
    )
