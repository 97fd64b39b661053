"""The time for selecting and training, including all stages, compared with training on all samples."""

from collections.abc import Mapping
from dataclasses import dataclass

from dealrec.comparison.results import Cost, FullCost
from dealrec.config.stages import StageName


@dataclass(frozen=True)
class TrainingCost:
    """The seconds per token, as measured over all runs of one comparison."""

    trunk: float
    """The seconds of one pass through the layers below the trained ones; 0 if all layers are trained."""
    training: float
    """The seconds of the forward and backward pass of a step over the trained layers."""

    def of(self, text_tokens: int, epochs: int) -> tuple[float, float]:
        """Return the seconds of a training on this many tokens: in the frozen layers, and in fine-tuning."""
        return self.trunk * text_tokens, self.training * text_tokens * epochs


def full_cost(
    per_token: TrainingCost, *, samples: int, text_tokens: int, epochs: int, measured: float | None
) -> FullCost:
    """Return the cost of training on everything; ``measured`` are its seconds, if it was run."""
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
    """Return the cost of one coreset, from the data to the adapter."""
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
