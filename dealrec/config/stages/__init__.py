"""The stages of a job: one file each, and the registry that plans and keys them.

Nothing here imports torch; ``dealrec.stages`` runs what is described here.
"""

from dealrec.config.model_use import ModelUse
from dealrec.config.stages.base import (
    JobOptions,
    Phase,
    Product,
    Queue,
    StageName,
    StagePart,
    StagePlace,
    StageSpec,
    Work,
    Workload,
    by_run,
    require_unchanged,
)
from dealrec.config.stages.plan import (
    DataShape,
    Plan,
    PlannedStage,
    plan_comparison,
    plan_prune,
    plan_runs,
    plan_stages,
    plan_training,
    reported,
)
from dealrec.config.stages.rates import MeasuredRate, measured_rate
from dealrec.config.stages.registry import (
    STAGES,
    compared_stages,
    hashed,
    makers,
    needed_stages,
    planned_stages,
    scoring_stages,
    stage_keys,
    stage_needs,
    stages_before,
    trained_stages,
)

__all__ = [
    "STAGES",
    "DataShape",
    "JobOptions",
    "MeasuredRate",
    "ModelUse",
    "Phase",
    "Plan",
    "PlannedStage",
    "Product",
    "Queue",
    "StageName",
    "StagePart",
    "StagePlace",
    "StageSpec",
    "Work",
    "Workload",
    "by_run",
    "compared_stages",
    "hashed",
    "makers",
    "measured_rate",
    "needed_stages",
    "plan_comparison",
    "plan_prune",
    "plan_runs",
    "plan_stages",
    "plan_training",
    "planned_stages",
    "reported",
    "require_unchanged",
    "scoring_stages",
    "stage_keys",
    "stage_needs",
    "stages_before",
    "trained_stages",
]
