"""The stage that makes a vector of every title."""

from dealrec.config.selectors import Need
from dealrec.config.stages.base import TEXTS, Pace, Phase, StageName, StageSpec, Work, Workload

_TITLES_IN_TEXT = 5
"""So many titles take as long as a sample of usual length; each batch is read on one thread."""


class TitlesStage(StageSpec):
    """Reads every title of the catalogue once, by itself."""

    name = StageName.TITLES
    title = "Title vectors"
    part = "titles"
    summary = "A vector for every title, for selectors that train a small recommender on them."
    phase = Phase.SCORING
    reads = TEXTS | {"validation_users", "titles"}
    of_ids = True
    makes = frozenset({Need.TITLES, Need.VALIDATION_TITLES})
    pace = Pace.READ
    reference_seconds = 0.1

    def work(self, load: Workload) -> Work:
        return Work(
            load.count("items") / _TITLES_IN_TEXT,
            (load.config.titles.model, load.config.titles.dtype),
        )
