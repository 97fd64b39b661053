"""Evaluates an adapter on held-out users."""

import json
from dataclasses import asdict, replace

from dealrec.config import PruneConfig, ValidationUsers
from dealrec.config.stages import StageName
from dealrec.coresets.writer import MANIFEST
from dealrec.data.validation_users import HALVED, Half
from dealrec.recommenders.evaluation import evaluate_adapter
from dealrec.stages.context import EVALUATION, StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """Write the figures. The details are the same figures, which the job shows.

    Users are evaluated with the prompt of the coreset's samples. If its selection used one half of the
    validation users, the adapter is evaluated on the other half.
    """
    manifest = json.loads((context.inputs[StageName.SELECT] / MANIFEST).read_text())
    chosen = PruneConfig.parse(manifest["config"])
    users = chosen.validation_users
    context = replace(context, config=context.config.model_copy(update={"validation_users": users}))
    finetune, evaluation = context.config.finetune, context.config.evaluation
    assert finetune is not None
    assert evaluation is not None
    tokens = context.replanned(evaluation.batch_tokens)
    found = evaluate_adapter(
        context.load_dataset(Half.ASKED),
        context.inputs[StageName.FINETUNE],
        chosen.prompt,
        finetune,
        evaluation.model_copy(update={"batch_tokens": tokens}),
        runtime=context.runtime,
        reporter=context.reporter,
    )
    details = asdict(found)
    if users is ValidationUsers.HALF:
        details["protocol"] = f"{HALVED} {found.protocol}"
    (context.out / EVALUATION).write_text(json.dumps(details, indent=2) + "\n")
    return StageResult(details, found.metrics)
