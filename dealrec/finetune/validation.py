"""The loss on held-out samples while an adapter is trained, and the adapter that was the best by it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from dealrec.data.prompts import PromptedSample
from dealrec.language_models.memory import run_in_halves
from dealrec.language_models.tokens import batches_by_tokens
from dealrec.recommenders.interface import Recommender


class HeldOutLoss:
    """The mean loss in nats over all terms of ``samples``, which are not trained on.

    Make it before an adapter is attached.
    """

    def __init__(self, recommender: Recommender, samples: Sequence[PromptedSample]) -> None:
        self._objective = recommender.objective(samples)
        self._model = recommender.loaded.model

    def measure(self, tokens_at_once: int, seed: int, on_part: Callable[[], None]) -> float:
        """Measure the model as it is, without dropout.

        Args:
            tokens_at_once: Padded tokens in a pass; less where memory does not hold them.
            seed: The seed of what the objective draws, so that measurements can be compared.
            on_part: It is called between passes.
        """
        objective, sums = self._objective, list[float]()

        def add(part: Sequence[int]) -> None:
            sums.append(objective.loss_sum(part).item())

        training = self._model.training
        self._model.eval()
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(seed)
            for part in batches_by_tokens(objective.held, tokens_at_once):
                on_part()
                run_in_halves(part, add)
        self._model.train(training)
        return sum(sums) / sum(objective.targets)


@dataclass
class BestAdapter:
    """The measurements so far, and the adapter at the lowest of them."""

    steps: list[int] = field(default_factory=list)
    """The number of steps that were made before each measurement."""
    losses: list[float] = field(default_factory=list)
    """The loss of each."""
    adapter: dict[str, Tensor] = field(default_factory=dict)
    """The adapter's parameters at the lowest loss, where they are kept."""
    head: dict[str, Tensor] = field(default_factory=dict)
    """Those of the recommender's head."""

    @property
    def place(self) -> int:
        """The place of the lowest loss among the measurements; of equal ones, of the first."""
        return min(range(len(self.losses)), key=self.losses.__getitem__)

    @property
    def is_last(self) -> bool:
        """Whether the last measurement is the best."""
        return self.place == len(self.losses) - 1

    def stops(self, patience: int | None) -> bool:
        """Whether none of the last ``patience`` measurements was the best."""
        if patience is None or not self.losses:
            return False
        return len(self.losses) - 1 - self.place >= patience
