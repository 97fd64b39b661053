"""The stage that measures an adapter on held-out users."""

from collections.abc import Mapping

from dealrec.config.evaluation import EvaluationConfig, Ranking
from dealrec.config.finetune import FinetuneConfig
from dealrec.config.language_models import content
from dealrec.config.prune import PruneConfig
from dealrec.config.stages.base import Pace, Phase, Product, StageName, StageSpec, Work, Workload

_TITLE_TOKENS = 12
"""How many tokens a title takes."""


class EvaluateStage(StageSpec):
    """Its result is a table of figures.

    The prompt is not in its key: it is in the coreset, and so in the key of the stage before.
    """

    name = StageName.EVALUATE
    version = 2
    title = "Evaluation"
    part = "evaluation"
    summary = "How well the adapter works for held-out users."
    switch = "Measure the adapter"
    phase = Phase.TRAINING
    reads = frozenset({"evaluation"})
    before = (StageName.FINETUNE,)
    product = Product.EVALUATION
    pace = Pace.READ
    reference_seconds = 0.1

    def work(self, load: Workload) -> Work:
        finetune, evaluation = load.config.finetune, load.config.evaluation
        assert finetune is not None
        assert evaluation is not None
        return Work(2 * texts_asked(finetune, evaluation, load), (finetune.model,))

    def loads(self, config: PruneConfig) -> Mapping[str, object]:
        return {} if config.finetune is None else content(config.finetune.model)


def texts_asked(finetune: FinetuneConfig, evaluation: EvaluationConfig, load: Workload) -> float:
    """Count the texts that are read to measure one model; a title counts by its tokens.

    A recommender that learns from the whole catalogue reads each history and each title once.
    """
    users = load.count("users")
    if finetune.entry.needs_catalogue:
        return min(evaluation.users, users) + load.count("items") / 8
    asked = min(evaluation.users, users) * (1 + evaluation.candidates / 8)
    ranked = min(evaluation.ranking_users, users)
    if evaluation.ranking is Ranking.TRIE:
        return asked + ranked * evaluation.ranked_titles * _TITLE_TOKENS / 8
    return asked + ranked * evaluation.beams * evaluation.max_title_tokens / 8
