"""The specification of a stage: everything that is known of it without running it.

The service plans, keys, estimates and shows stages by their specifications alone, and never loads the
libraries that run them. The function that runs a stage is ``run`` in ``dealrec.stages.<name>``.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, NamedTuple

from dealrec.config.comparison import ComparisonConfig
from dealrec.config.continuation import Continued
from dealrec.config.curve import TargetUse
from dealrec.config.effort import GradientOptions, TokenOptions
from dealrec.config.finetune import FinetuneConfig
from dealrec.config.language_models import content, revision
from dealrec.config.model_use import ModelUse, trained_model
from dealrec.config.prune import PruneConfig
from dealrec.config.selectors import Need
from dealrec.errors import InputError

SAMPLES = frozenset({"sampling", "min_history"})
"""The options that decide which samples there are."""
TEXTS = SAMPLES | {"prompt"}
"""The options that decide the texts of the samples."""


class StageName(StrEnum):
    """The stages, in the order in which people see them."""

    INGEST = "ingest"
    AUDIT = "audit"
    SURROGATE = "surrogate"
    HEADROOM = "headroom"
    INFLUENCE = "influence"
    EFFORT = "effort"
    DIFFICULTY = "difficulty"
    EMBEDDING = "embedding"
    GRADIENTS = "gradients"
    IFD = "ifd"
    TITLES = "titles"
    SELECT = "select"
    FINETUNE = "finetune"
    EVALUATE = "evaluate"
    COMPARE = "compare"


class StagePart(StrEnum):
    """A part of a stage that several workers share; the stage itself merges the parts."""

    PLAN = "plan"
    """Says which samples belong to which shard."""
    SHARD = "shard"


class Queue(StrEnum):
    """Which workers take a stage."""

    CPU = "cpu"
    GPU = "gpu"


class Phase(StrEnum):
    """The part of a job that a stage belongs to; a job's kind says which phases it has."""

    DATASET = "dataset"
    """Validates uploaded files; belongs to a data set and to no job."""
    SCORING = "scoring"
    """Computes what selectors look at."""
    SELECTION = "selection"
    TRAINING = "training"
    """Trains on a coreset and measures the adapter."""
    COMPARISON = "comparison"


class Pace(StrEnum):
    """The kinds of work of a language model whose speed ``dealrec models check`` measures."""

    READ = "read"
    EFFORT = "effort"
    TRAIN = "train"


class Product(StrEnum):
    """The product that a stage's result becomes besides an artifact under its key."""

    ARTIFACT = "artifact"
    """Nothing else."""
    DATASET = "dataset"
    CORESET = "coreset"
    ADAPTER = "adapter"
    EVALUATION = "evaluation"


class StagePlace(NamedTuple):
    """A stage's place in a job."""

    name: StageName
    run: int = 0
    """The run of a comparison that the stage was first made for; 0 in any other job."""


@dataclass(frozen=True)
class JobOptions:
    """The options that the stages of one job read."""

    config: PruneConfig
    """Resolved. In a comparison it is the part that all selectors share."""
    budget: int = 0
    """Samples in the coreset; in a comparison the largest budget; 0 where nothing is selected."""
    comparison: ComparisonConfig | None = None
    target: TargetUse | None = field(default=None, kw_only=True)
    """The target that the budget followed from, if there was one."""
    continued: Continued | None = field(default=None, kw_only=True)
    """The earlier job that this one goes on from, if there is one."""


@dataclass(frozen=True)
class Workload(JobOptions):
    """A job's options and the size of its data: together they decide how long each stage takes."""

    samples: int = 0
    counts: Mapping[str, int] | None = None
    """The data set's users, items and interactions by split."""

    def count(self, name: str) -> int:
        """One of ``counts``; 0 where the data set has none of it."""
        return (self.counts or {}).get(name, 0)


@dataclass(frozen=True)
class Work:
    """The amount of work in a stage, and what must be equal for a measured rate to carry over."""

    units: float
    alike: tuple[object, ...]


class StageSpec(ABC):
    """One stage. Each subclass is a file of this package, and :data:`~.registry.STAGES` lists it."""

    name: ClassVar[StageName]
    title: ClassVar[str]
    """The stage's name as people read it."""
    part: ClassVar[str] = ""
    """The part of the configuration that holds the stage's own options, where it has one."""
    summary: ClassVar[str] = ""
    """A sentence about what the part's options decide."""
    switch: ClassVar[str] = ""
    """The label of the box that adds an optional stage to a job: the stage is in the job where its part
    of the configuration is not ``None``. Empty for any other stage."""
    phase: ClassVar[Phase]
    version: ClassVar[int] = 1
    """Raise it whenever the stage's result changes for the same input: it is part of the key."""
    queue: ClassVar[Queue] = Queue.GPU
    reads: ClassVar[Set[str]] = frozenset()
    """The options of the job that decide the result, by their names in the configuration."""
    before: ClassVar[Sequence[StageName]] = ()
    """Stages of the same job whose results this one reads, where the job has them."""
    of_ids: ClassVar[bool] = False
    """Whether it reads ids of users and items: a job on texts without ids does not have it."""
    always: ClassVar[bool] = False
    """Whether every job that scores has the stage: influence is kept for later selections."""
    makes: ClassVar[frozenset[Need]] = frozenset()
    """The scores and vectors that selectors find in the result."""
    reads_scores: ClassVar[bool] = False
    """Whether it reads the results of all stages that make something for selectors."""
    product: ClassVar[Product] = Product.ARTIFACT
    pace: ClassVar[Pace | None] = None
    """The work of a language model on the one text that is a unit of work; ``None`` for other work."""
    reference_seconds: ClassVar[float] = 0.0
    """Seconds a unit of work takes on two cores without a GPU, rounded up, with language models of
    135M parameters. Estimates use it until a stage of the same kind has finished on this server."""

    def wanted(self, config: PruneConfig, needs: Set[Need]) -> bool:
        """Whether a job of this stage's phase has the stage.

        An optional part of the configuration decides about its stage. Any other scoring stage is made
        where ``needs``, those of the job's selectors, name something that it makes.
        """
        if self.switch:
            return getattr(config, self.part) is not None
        return self.always or self.phase is not Phase.SCORING or bool(self.makes & needs)

    def needs(self, config: PruneConfig) -> Sequence[StageName]:
        """Return those of :attr:`before` that the stage reads under this configuration.

        Every stage may read the data set. :func:`~.registry.stage_needs` adds those of ``reads_scores``.
        """
        del config
        return self.before

    def key_options(self, options: JobOptions) -> Mapping[str, object]:
        """The part of the options that decides the result, as JSON: it is part of the key."""
        config = options.config
        return {
            **config.model_dump(mode="json", include=set(self.reads)),
            **self.contents(config),
        }

    @abstractmethod
    def work(self, load: Workload) -> Work:
        """How much the stage has to do, in units that its seconds are proportional to."""

    def shards(self, load: Workload) -> int:
        """Into how many shards the stage is split, each of which any worker may take."""
        del load
        return 1

    def stops(self, options: JobOptions, details: Mapping[str, object]) -> bool:
        """Whether scoring stages of the job that have not begun are skipped after this result."""
        del options, details
        return False

    def account(
        self, metrics: Mapping[str, float], details: Mapping[str, object]
    ) -> Mapping[str, object]:
        """The part of the stage's facts that a coreset's manifest keeps."""
        del metrics
        return details

    def language_model(self, config: PruneConfig) -> ModelUse | None:
        """The language model that the stage loads under this configuration: by default its part's."""
        own = getattr(config, self.part, None)
        if isinstance(own, FinetuneConfig):
            return trained_model(own)
        if not isinstance(own, TokenOptions):
            return None
        measured = own if isinstance(own, GradientOptions) else None
        return ModelUse(
            own.model,
            measured.adapter if measured else None,
            own.dtype,
            projections=measured.parameters.projections if measured else (),
            max_tokens=own.max_tokens,
            tokens=own.batch_tokens,
        )

    def contents(self, config: PruneConfig) -> Mapping[str, object]:
        """The revisions of the language model that the stage loads, and of its adapter, for the key."""
        use = self.language_model(config)
        if use is None:
            return {}
        adapted = {} if use.adapter is None else {"adapter_revision": revision(use.adapter)}
        return {**content(use.model), **adapted}

    def loads(self, config: PruneConfig) -> Mapping[str, object]:
        """The revisions of all that the stage loads; :func:`require_unchanged` compares them."""
        return self.contents(config)


def require_unchanged(
    spec: StageSpec, config: PruneConfig, planned: Mapping[str, object] | None
) -> None:
    """Check that the stage's language model has the content that its key was made from.

    ``planned`` is what :meth:`StageSpec.loads` said then; ``None`` for a stage of an earlier version.
    Files that are not here at all are the business of whoever loads them.

    Raises:
        InputError: ``model_changed``.
    """
    found = spec.loads(config)
    if planned is None or found == planned or not found.get("revision"):
        return
    raise InputError(
        f"The files of the language model of the stage {spec.name}, or its entry in the catalogue, "
        "have changed since this job was planned, so the result would be kept under the wrong key. "
        "Start a new job, or restore the earlier files and retry.",
        code="model_changed",
        title="The language model has changed",
    )


def by_run(spec: StageSpec, before: Iterable[StagePlace]) -> list[dict[StageName, StagePlace]]:
    """Group the stages that ``spec`` stands on by the run that they were made for, run 0 first.

    Only a comparison reads several runs; for any other stage all of them are one group.
    """
    groups: list[dict[StageName, StagePlace]] = [{}]
    for place in sorted(before, key=lambda place: place.run):
        run = place.run if spec.phase is Phase.COMPARISON else 0
        groups += [{} for _ in range(run + 1 - len(groups))]
        groups[run][place.name] = place
    return groups
