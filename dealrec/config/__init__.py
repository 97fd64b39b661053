"""Every option of the method, defined once for library, command line, client and HTTP service.

Nothing here imports torch.
"""

from dealrec.config.base import Config
from dealrec.config.budget import Budget, parse_budget, resolve_budget
from dealrec.config.columns import Column
from dealrec.config.compared import ComparedSelector
from dealrec.config.comparison import ComparisonConfig
from dealrec.config.data import (
    DataOptions,
    Repeats,
    Sampling,
    Split,
    SplitMethod,
    ValidationUsers,
    data_options,
)
from dealrec.config.effort import EffortConfig, EffortParameters, IfdConfig, LossSpan, Reduction
from dealrec.config.embedding import EmbeddingConfig, EmbeddingSource, GradientsConfig
from dealrec.config.evaluation import EvaluationConfig, HeldOut, Ranking
from dealrec.config.finetune import FinetuneConfig, LoraSettings
from dealrec.config.influence import (
    Curvature,
    InfluenceConfig,
    InfluenceParameters,
    Risk,
    RiskTarget,
    SampleLoss,
    Solver,
)
from dealrec.config.prompt import PromptConfig, PromptFormat
from dealrec.config.prune import PruneConfig
from dealrec.config.selection import (
    Difficulty,
    Normalisation,
    SelectionConfig,
    SelectionMethod,
    StratumEdges,
    TurnVectors,
)
from dealrec.config.surrogate import SurrogateConfig, SurrogateLoss

__all__ = [
    "Budget",
    "Column",
    "ComparedSelector",
    "ComparisonConfig",
    "Config",
    "Curvature",
    "DataOptions",
    "Difficulty",
    "EffortConfig",
    "EffortParameters",
    "EmbeddingConfig",
    "EmbeddingSource",
    "EvaluationConfig",
    "FinetuneConfig",
    "GradientsConfig",
    "HeldOut",
    "IfdConfig",
    "InfluenceConfig",
    "InfluenceParameters",
    "LoraSettings",
    "LossSpan",
    "Normalisation",
    "PromptConfig",
    "PromptFormat",
    "PruneConfig",
    "Ranking",
    "Reduction",
    "Repeats",
    "Risk",
    "RiskTarget",
    "SampleLoss",
    "Sampling",
    "SelectionConfig",
    "SelectionMethod",
    "Solver",
    "Split",
    "SplitMethod",
    "StratumEdges",
    "SurrogateConfig",
    "SurrogateLoss",
    "TurnVectors",
    "ValidationUsers",
    "data_options",
    "parse_budget",
    "resolve_budget",
]
