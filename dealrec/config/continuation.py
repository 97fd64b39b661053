"""How a job continues from an earlier one, whose data set was an earlier version."""

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from dealrec.config.base import Config
from dealrec.config.prune import PruneConfig
from dealrec.config.surrogate import SurrogateConfig
from dealrec.errors import InputError

DATASET = "dataset"
"""The name of the data set among the folders of an earlier job; the others are called as their stages."""
_ARCHITECTURE = ("model", "hidden_size", "layers", "heads", "max_length")


class Carry(StrEnum):
    """The choice of what happens to the members of the earlier coreset."""

    ANEW = "anew"
    """The budget is spent from scratch; earlier members stay only if the selector picks them again."""
    TOP_UP = "top_up"
    """All earlier members that are still samples stay, and the rest of the budget goes to other samples."""
    REPLACE = "replace"
    """The share ``replaced_share`` of the budget goes to new samples, and the rest to earlier members."""


class Continuation(Config):
    """The parts that a job takes over from an earlier one.

    The surrogate starts from its earlier weights. Influence is computed again, because the surrogate has
    changed. Effort is measured for samples whose texts are new.
    """

    surrogate_epochs: int = Field(1, ge=1, le=10_000)
    """The number of epochs for which the surrogate is trained further, starting from its earlier
    weights. This replaces ``surrogate.epochs``."""
    surrogate_replay: float = Field(1.0, ge=0, le=1)
    """The share of the users without new training rows that the surrogate learns again, besides all users
    with new ones. They are drawn anew for each version, and the loss on the others is measured before and
    after. 1 means that all users are learned again."""
    coreset: Carry = Carry.ANEW
    """What happens to the samples of the earlier coreset."""
    replaced_share: float = Field(0.2, ge=0, le=1)
    """For ``replace``: the share of the budget, from 0 to 1, that goes to samples that were not in the
    earlier coreset."""
    adapter: bool = False
    """Whether the training of an adapter starts from the weights of the earlier adapter
    (``finetune.from_adapter``). It learns the whole coreset, so samples that stay are learned again
    unless ``replay`` is below 1."""
    replay: float = Field(1.0, ge=0, le=1)
    """With ``adapter``: the share of the kept samples that the training learns again, besides all new
    ones. They are drawn with ``finetune.seed``. A training that would have nothing to learn fails."""

    @model_validator(mode="after")
    def _replay_of_an_adapter(self) -> Self:
        if self.replay != 1 and not self.adapter:
            raise ValueError("`replay` needs `adapter`: a fresh adapter learns the whole coreset")
        return self


class Continued(Continuation):
    """A continuation of a certain job."""

    earlier: str
    """A hash of what the earlier job made: stages that go on from it have it in their keys."""
    job: str | None = None
    """The id of the earlier job, on a server."""

    @property
    def replays(self) -> bool:
        """Whether the training leaves out some of the members that stay."""
        return self.adapter and self.replay < 1

    def key(self) -> dict[str, object]:
        """The part of the continuation that determines the surrogate."""
        repeated = {"epochs": self.surrogate_epochs, "replay": self.surrogate_replay}
        return {"earlier": self.earlier, **repeated}


def with_earlier_adapter(config: PruneConfig, adapter: str | None) -> PruneConfig:
    """The configuration of a job whose training goes on from ``adapter``, an id or a folder.

    Raises:
        InputError: ``continuation_not_possible`` where the job trains nothing, or the earlier one did not.
    """
    if config.finetune is None:
        raise continuation_not_possible(
            "the earlier adapter cannot be trained further, because this job trains no adapter "
            "(`finetune` is null)."
        )
    if adapter is None:
        raise continuation_not_possible("the earlier job has no adapter.")
    training = config.finetune.model_copy(update={"from_adapter": adapter})
    return config.model_copy(update={"finetune": training})


def require_alike(had: SurrogateConfig, now: SurrogateConfig) -> None:
    """Raise :class:`InputError` (``continuation_not_possible``) for another architecture of the surrogate."""
    for name in _ARCHITECTURE:
        if getattr(had, name) != getattr(now, name):
            raise continuation_not_possible(
                f"`surrogate.{name}` was {getattr(had, name)} and is now {getattr(now, name)}."
            )


def continuation_not_possible(why: str) -> InputError:
    """Make the error that a job cannot go on from another one."""
    return InputError(
        f"The job cannot continue from the earlier one: {why} Leave `continue_from` out for a full run.",
        code="continuation_not_possible",
        title="The job cannot continue from the earlier one",
    )
