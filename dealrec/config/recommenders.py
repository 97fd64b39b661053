"""The recommenders that a language model can be trained to be, by name."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RecommenderEntry:
    """The description of a recommender, available without loading it."""

    name: str
    summary: str
    source: str
    """The publication of the recommender."""
    implementation: str
    """The import path ``module:class`` of a subclass of ``dealrec.recommenders.interface.Recommender``."""
    parameters: tuple[str, ...]
    """The fields of :class:`~dealrec.config.FinetuneConfig` that it reads beside those that all read."""
    needs_catalogue: bool = False
    """Whether it learns from the titles of the whole catalogue beside the samples."""


BIGREC, ENCODER = "bigrec", "encoder"

RECOMMENDERS: dict[str, RecommenderEntry] = {
    entry.name: entry
    for entry in (
        RecommenderEntry(
            BIGREC,
            "Writes the title of the next item and matches it to the catalogue.",
            "Bao et al., arXiv 2308.08434",
            "dealrec.recommenders.bigrec:BigRec",
            ("loss_on",),
        ),
        RecommenderEntry(
            ENCODER,
            "Compares the vector of the history with the vectors of all titles.",
            "Li et al., arXiv 2305.13731; Hou et al., arXiv 2206.05941",
            "dealrec.recommenders.encoder:EncoderRecommender",
            ("encoder",),
            needs_catalogue=True,
        ),
    )
}
"""The recommenders by name; import strings refer to them, so that listing them imports none."""
