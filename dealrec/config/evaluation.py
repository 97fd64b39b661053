"""Options of the evaluation of a fine-tuned language model on held-out users."""

from enum import StrEnum

from pydantic import Field, field_validator

from dealrec.config.base import Config


class HeldOut(StrEnum):
    """The split on which models are evaluated; its interactions are never trained on."""

    AUTO = "auto"
    """``test`` if there is such a split, else ``valid``."""
    VALID = "valid"
    TEST = "test"


class Ranking(StrEnum):
    """The way in which a model that writes titles ranks the catalogue."""

    GROUNDING = "grounding"
    """The model writes a title freely, and items are ranked by how close their titles are to it (BIGRec)."""
    TRIE = "trie"
    """The model can write only titles of the catalogue, and they are ranked by their likelihood."""


class EvaluationConfig(Config):
    """Options of the evaluation of an adapter."""

    split: HeldOut = HeldOut.AUTO
    users: int = Field(1000, ge=2, le=10_000_000)
    """The largest number of held-out users to evaluate. They are spread evenly over all held-out users."""
    candidates: int = Field(16, ge=0, le=1000)
    """The number of titles (candidates) among which the model must find the one that a user chose; the others
    were chosen by other held-out users. Preference, the primary metric, is measured on them. 0 leaves
    preference out, and only the likelihood of the user's own title is measured."""
    ranking_users: int = Field(1000, ge=0, le=10_000_000)
    """The number of these users for whom the whole catalogue is ranked. This takes most of the time. 0 leaves
    ranking out."""
    ranking: Ranking = Ranking.GROUNDING
    """The way in which the catalogue is ranked."""
    ranked_titles: int = Field(20, ge=1, le=1000)
    """With ``trie``: the number of beams of the search, which is also the number of titles that are ranked.
    All other titles share the last place, so a metric at a larger cutoff counts only the ranked ones."""
    beams: int = Field(4, ge=1, le=64)
    """With ``grounding``: the number of beams in the beam search for a title."""
    max_title_tokens: int = Field(32, ge=1, le=512)
    """With ``grounding``: written titles and titles of the catalogue are cut to this number of tokens."""
    popularity_weight: float = Field(0.0, ge=0, le=1000)
    """With ``grounding``: γ, the weight of popularity in the ranking (BIGRec's popularity injection)."""
    batch_tokens: int = Field(4096, ge=16)
    """The number of tokens in a batch, padding included."""
    seed: int = Field(0, ge=0, lt=2**31)
    """The random seed with which candidates are drawn."""

    @field_validator("candidates")
    @classmethod
    def _a_choice(cls, candidates: int) -> int:
        if candidates == 1:
            raise ValueError("a choice needs at least two candidates; 0 leaves preference out")
        return candidates

    def asks_validation(self, *, has_test: bool) -> bool:
        """Whether validation users are asked; ``has_test`` says whether the data has test users."""
        return self.split is HeldOut.VALID or (self.split is HeldOut.AUTO and not has_test)
