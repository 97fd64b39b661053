"""Measures an adapter on held-out users."""

import json
from dataclasses import asdict

from dealrec.config import PromptConfig
from dealrec.config.stages import StageName
from dealrec.coresets.writer import MANIFEST
from dealrec.recommenders.evaluation import evaluate_adapter
from dealrec.stages.context import EVALUATION, StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """Write the figures; the details are the same figures, for the job to show.

    Users are asked with the prompt of the coreset's samples.
    """
    manifest = json.loads((context.inputs[StageName.SELECT] / MANIFEST).read_text())
    finetune, evaluation = context.config.finetune, context.config.evaluation
    assert finetune is not None
    assert evaluation is not None
    tokens = context.replanned(evaluation.batch_tokens)
    found = evaluate_adapter(
        context.load_dataset(),
        context.inputs[StageName.FINETUNE],
        PromptConfig.parse(manifest["config"]["prompt"]),
        finetune,
        evaluation.model_copy(update={"batch_tokens": tokens}),
        runtime=context.runtime,
        reporter=context.reporter,
    )
    details = asdict(found)
    (context.out / EVALUATION).write_text(json.dumps(details, indent=2) + "\n")
    return StageResult(details, found.metrics)
