"""The stages of a job: one file each, and the registry that plans and keys them.

Nothing here imports torch; ``dealrec.stages`` runs what is described here.
"""

from dealrec.config.stages.base import (
    JobOptions,
    ModelUse,
    Phase,
    Product,
    Queue,
    StageName,
    StagePart,
    StageSpec,
    Work,
    Workload,
)
from dealrec.config.stages.plan import (
    DataShape,
    Plan,
    plan_comparison,
    plan_prune,
    plan_training,
)
from dealrec.config.stages.registry import (
    STAGES,
    compared_stages,
    hashed,
    makers,
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
    "ModelUse",
    "Phase",
    "Plan",
    "Product",
    "Queue",
    "StageName",
    "StagePart",
    "StageSpec",
    "Work",
    "Workload",
    "compared_stages",
    "hashed",
    "makers",
    "plan_comparison",
    "plan_prune",
    "plan_training",
    "planned_stages",
    "scoring_stages",
    "stage_keys",
    "stage_needs",
    "stages_before",
    "trained_stages",
]
