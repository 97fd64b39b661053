"""Measures the adapter on held-out users."""

import json
from dataclasses import asdict

from dealrec.config import PromptConfig
from dealrec.config.stages import StageName
from dealrec.coresets.writer import MANIFEST
from dealrec.data.dataset import Dataset
from dealrec.recommenders.evaluation import evaluate_adapter
from dealrec.worker.stages.context import StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """The figures as a file; details are the same, for the job to show.

    Users are asked in the words of the coreset's samples.
    """
    manifest = json.loads((context.inputs[StageName.SELECT] / MANIFEST).read_text())
    finetune, evaluation = context.config.finetune, context.config.evaluation
    assert finetune is not None
    assert evaluation is not None
    if context.pieces > 1:
        tokens = evaluation.batch_tokens // context.pieces
        context.reporter.event("replanned", batch_tokens=tokens)
        evaluation = evaluation.model_copy(update={"batch_tokens": tokens})
    found = evaluate_adapter(
        Dataset.load(context.dataset),
        context.inputs[StageName.FINETUNE],
        PromptConfig.parse(manifest["config"]["prompt"]),
        finetune,
        evaluation,
        runtime=context.runtime,
        reporter=context.reporter,
    )
    details = asdict(found)
    (context.out / "evaluation.json").write_text(json.dumps(details, indent=2) + "\n")
    return StageResult(details, found.metrics)
