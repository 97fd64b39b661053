"""The client's records mirror the service's answers without importing it; here they are compared."""

from collections.abc import Mapping
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

import dealrec.app.adapters.schemas as adapters
import dealrec.app.catalogue as catalogue
import dealrec.app.coresets.browsing as browsing
import dealrec.app.coresets.maps as maps
import dealrec.app.coresets.schemas as coresets
import dealrec.app.coresets.verdicts as verdicts
import dealrec.app.datasets.schemas as datasets
import dealrec.app.estimates.schemas as estimates
import dealrec.app.jobs.curves as curves
import dealrec.app.jobs.schemas as jobs
import dealrec.app.models.schemas as models
import dealrec.app.operation.schemas as operation
import dealrec.app.schedules.schemas as schedules
import dealrec.app.schedules.triggers as triggers
import dealrec.app.scores.schemas as scores
import dealrec.app.stages.schemas as stages
import dealrec.app.tracking.schemas as tracking
import dealrec.app.uploads.schemas as uploads
import dealrec.app.webhooks.schemas as webhooks
import dealrec.client.clients  # noqa: F401 - defines every record
from dealrec.app.kit.schemas import OptionNote
from dealrec.client.records import Record, Remote
from dealrec.client.results import CoresetContents, JobResults
from dealrec.config.base import Config
from dealrec.config.curve import TargetUse
from dealrec.data.preview import ReadText

TRIGGERS = (triggers.CronTrigger, triggers.VersionTrigger, triggers.DriftTrigger)
SCHEMAS: dict[str, type[BaseModel]] = {
    "Adapter": adapters.Adapter,
    "AdapterFile": adapters.AdapterFile,
    "Budget": jobs.BudgetUse,
    "Calibration": estimates.Calibration,
    "Choice": catalogue.Choice,
    "Coreset": coresets.Coreset,
    "CoresetDiff": coresets.CoresetDiff,
    "CoresetSample": coresets.CoresetSample,
    "Coverage": coresets.Coverage,
    "Curve": curves.MetricCurve,
    "CurvePoint": curves.MetricPoint,
    "Dataset": datasets.Dataset,
    "Delivery": webhooks.Delivery,
    "Detectable": estimates.Detectable,
    "Drift": datasets.DatasetDrift,
    "Estimate": estimates.Estimate,
    "Evaluation": jobs.Evaluation,
    "Event": jobs.Event,
    "Explanation": coresets.Explanation,
    "Histogram": scores.Histogram,
    "Job": jobs.Job,
    "LanguageModel": models.LanguageModelEntry,
    "Layout": catalogue.LayoutEntry,
    "LayoutForm": catalogue.LayoutForm,
    "MapPoint": maps.MapPoint,
    "Neighbour": maps.Neighbour,
    "NewWebhook": webhooks.NewWebhook,
    "OptionNote": OptionNote,
    "PreviewedSample": datasets.PreviewedSample,
    "Progress": stages.Progress,
    "PromptPreview": datasets.PromptPreview,
    "QueueState": operation.QueueState,
    "ReadText": ReadText,
    "Runs": jobs.Runs,
    "SampleMap": maps.SampleMap,
    "SampleText": datasets.SampleText,
    "Schedule": schedules.Schedule,
    "ScheduleTick": schedules.ScheduleTick,
    "ScoreMass": coresets.ScoreMass,
    "ScoreTriple": coresets.ScoreTriple,
    "ScoredSample": browsing.ScoredSample,
    "ServerState": operation.ServerState,
    "Shards": jobs.Shards,
    "Stage": jobs.Stage,
    "StageEstimate": estimates.StageEstimate,
    "StorageState": operation.StorageState,
    "Target": jobs.TargetShown,
    "Stratum": coresets.StratumUse,
    "StratumDiff": coresets.StratumDiff,
    "SweepCoverage": coresets.SweepCoverage,
    "SweepPoint": coresets.SweepPoint,
    "SweepSelection": coresets.SweepSelection,
    "TickCounts": schedules.TickCounts,
    "Tracked": tracking.Tracked,
    "Turn": datasets.Turn,
    "Upload": uploads.Upload,
    "UploadPart": uploads.UploadPart,
    "Verdict": verdicts.Verdict,
    "Webhook": webhooks.Webhook,
    "WorkerState": operation.WorkerState,
    "WorkerTask": operation.WorkerTask,
}


def records(of: type[Record] = Record) -> dict[str, type[Record]]:
    """Every record class by name, without the generic's instances such as ``Job[Transport]``."""
    found: dict[str, type[Record]] = {}
    for record in of.__subclasses__():
        found |= records(record)
        if record not in (Remote, CoresetContents, JobResults) and "[" not in record.__name__:
            found[record.__name__] = record
    return found


def shape(annotation: Any) -> Any:
    """A type reduced to the JSON that it stands for: enums are text, models go by the schema's name."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        members = frozenset(shape(argument) for argument in arguments)
        return members if len(members) > 1 else next(iter(members))
    if origin is Literal:
        return {type(argument) for argument in arguments}.pop()
    if origin in (dict, Mapping):
        return ("object", *(shape(argument) for argument in arguments))
    if origin is list:
        return ("list", shape(arguments[0]))
    if isinstance(annotation, type) and issubclass(annotation, (*TRIGGERS, Config, TargetUse)):
        return (
            "object",
            str,
            Any,
        )  # options, which a client of another version passes on as they are
    if annotation in (Any, NoneType):
        return annotation
    if issubclass(annotation, StrEnum):
        return str
    if issubclass(annotation, Record):
        return SCHEMAS[annotation.__name__]
    return annotation


def test_every_record_has_its_schema():
    assert records().keys() == SCHEMAS.keys()


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_record_has_the_fields_and_types_of_its_schema(name):
    record, schema = records()[name], SCHEMAS[name]
    mirrored = {field: shape(info.annotation) for field, info in record.model_fields.items()}
    answered = {field: shape(info.annotation) for field, info in schema.model_fields.items()}
    assert mirrored == answered
