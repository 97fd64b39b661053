"""Messages between a worker and the process of its stage go round as JSON."""

import json
import math
from dataclasses import fields
from pathlib import Path

import pytest
from pydantic import ValidationError

from dealrec.config import ComparisonConfig, DataOptions, EffortConfig, PruneConfig
from dealrec.config.continuation import Continued
from dealrec.config.curve import resolve_target
from dealrec.config.runtime import Runtime
from dealrec.config.stages import StageName, StagePart
from dealrec.progress import SILENT
from dealrec.stages.context import IngestFile, IngestFiles, RunInputs, StageContext, StageFacts
from dealrec.worker.messages import (
    ANSWER,
    Ending,
    Event,
    Finished,
    Metric,
    News,
    NoMemory,
    Progress,
    Raised,
    Refused,
    StageOrder,
    Start,
    Stopped,
    Tick,
)
from tests.dealrec.comparison.curves import made_curve


def full_order(folder: Path) -> StageOrder:
    """An order in which no field has the context's default."""
    file = IngestFile(path=folder / "a", name="a.csv")
    return StageOrder(
        stage=StageName.EFFORT,
        out=folder / "out",
        checkpoint_dir=folder / "checkpoints",
        tick_seconds=0.5,
        runtime=Runtime(2, "cpu"),
        memory_bytes=1000,
        dataset=folder / "dataset",
        inputs={StageName.INFLUENCE: folder / "influence"},
        facts={
            StageName.INFLUENCE: StageFacts(
                metrics={"residual": math.inf}, details={"losses": [1.0, -math.inf]}, seconds=None
            )
        },
        adapter=folder / "adapter",
        later_runs=[RunInputs(inputs={StageName.INFLUENCE: folder / "again"})],
        parts={"shard-0": folder / "shard"},
        config=PruneConfig(effort=EffortConfig(model="smollm2-135m", candidates=3)),
        comparison=ComparisonConfig.parse(
            {"budgets": [3], "selectors": ["influence"]}, location="comparison"
        ),
        budget=7,
        budget_requested=0.5,
        target=resolve_target(0.5, made_curve("a", PruneConfig.parse({"finetune": {}}))),
        continued=Continued(coreset="top_up", earlier="a hash", job="job_1"),
        earlier={"surrogate": folder / "earlier"},
        files=IngestFiles(
            interactions=file, items=file, options=DataOptions(columns={"user_id": "who"})
        ),
        part=StagePart.SHARD,
        shard=1,
        shards=3,
        pieces=4,
    )


@pytest.mark.parametrize(
    "message",
    [
        Tick(used_gpu=True),
        Progress(done=1, total=2, unit="batch"),
        Metric(name="loss", value=-math.inf),
        Event(event="replanned", data={"batch_tokens": 3, "loss": math.inf}),
        Finished(details={"a": [1, None, {"b": math.inf}]}, metrics={"loss": math.inf}),
        Stopped(),
        Refused(problem={"code": "no_samples", "errors": []}),
        NoMemory(),
        Raised(type="KeyError", frames=["line 1\n"]),
    ],
    ids=lambda message: message.kind,
)
def test_every_answer_goes_round_as_one_line(message: News | Ending) -> None:
    line = message.model_dump_json()
    assert "\n" not in line
    assert ANSWER.validate_json(line) == message


def test_figures_that_are_no_numbers_go_round(tmp_path: Path) -> None:
    for message in (
        Metric(name="loss", value=math.nan),
        Finished(details={"loss": math.nan}, metrics={"loss": math.nan}),
    ):
        again = ANSWER.validate_json(message.model_dump_json())
        assert repr(again) == repr(message)
    facts = StageFacts(metrics={"a": math.nan}, details={"a": math.nan}, seconds=1.0)
    order = full_order(tmp_path).model_copy(update={"facts": {StageName.INFLUENCE: facts}})
    assert repr(StageOrder.model_validate_json(order.model_dump_json())) == repr(order)


def test_an_order_goes_round_and_its_context_has_every_field(tmp_path: Path) -> None:
    order = full_order(tmp_path)
    start = Start.model_validate_json(Start(order=order, pipe=3, parent=1).model_dump_json())
    assert start.order == order
    context = order.context(SILENT)
    given = [field for field in fields(StageContext) if field.name not in ("reporter", "cache")]
    assert all(getattr(context, field.name) != field.default for field in given)
    names = {field.name for field in given}
    assert names < StageOrder.model_fields.keys()
    assert all(getattr(context, name) == getattr(order, name) for name in names)
    assert context.out.is_dir() and context.checkpoint_dir.is_dir()


def test_an_order_with_an_unknown_field_is_refused(tmp_path: Path) -> None:
    order = json.loads(full_order(tmp_path).model_dump_json())
    with pytest.raises(ValidationError):
        StageOrder.model_validate({**order, "colour": "red"})
