"""The cost of choosing and training, everything counted, against training on all samples."""

from collections.abc import Mapping
from dataclasses import dataclass

from dealrec.comparison.results import Cost, FullCost
from dealrec.config.stages import StageName


@dataclass(frozen=True)
class TrainingCost:
    """Seconds a token, as measured over all runs of one comparison."""

    trunk: float
    """Seconds of one pass through the layers below the trained ones; 0 where all are trained."""
    training: float
    """Seconds of one step's forward and backward pass over the trained layers."""

    def of(self, text_tokens: int, epochs: int) -> tuple[float, float]:
        """(trunk, fine-tuning) seconds of a training on so many tokens."""
        return self.trunk * text_tokens, self.training * text_tokens * epochs


def full_cost(
    per_token: TrainingCost, *, samples: int, text_tokens: int, epochs: int, measured: float | None
) -> FullCost:
    """The cost of training on everything; ``measured`` are its seconds where one was made."""
    trunk, training = per_token.of(text_tokens, epochs)
    finetune = training if measured is None else measured
    return FullCost(
        samples=samples,
        trunk=trunk,
        finetune=finetune,
        total=trunk + finetune,
        measured=measured is not None,
    )


def coreset_cost(
    selector: str,
    budget: int,
    *,
    stages: Mapping[StageName, float],
    select: float,
    trunk: float,
    finetune: float,
    full: FullCost,
) -> Cost:
    """The cost of one coreset, from the data to the adapter."""
    total = sum(stages.values()) + select + trunk + finetune
    return Cost(
        selector=selector,
        budget=budget,
        stages={name.value: seconds for name, seconds in stages.items()},
        select=select,
        trunk=trunk,
        finetune=finetune,
        total=total,
        saved=1 - total / full.total if full.total > 0 else 0.0,
    )
