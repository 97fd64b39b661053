"""The messages between a worker and the process that runs its stage, one JSON object a line.

The worker writes one :class:`Start`; a process that was forked says :class:`Forked` before that. The process
answers with any number of :data:`News` and at the end with one :data:`Ending`; one that dies says no more.
"""

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from dealrec.config import ComparisonConfig, PruneConfig
from dealrec.config.continuation import Continued
from dealrec.config.curve import TargetUse
from dealrec.config.runtime import Runtime
from dealrec.config.stages import StageName, StagePart
from dealrec.progress import Reporter
from dealrec.stages.context import IngestFiles, Record, RunInputs, StageContext, StageFacts


class StageOrder(Record):
    """A stage to run: the fields of :class:`~dealrec.stages.context.StageContext`, and limits."""

    stage: StageName
    out: Path
    checkpoint_dir: Path
    tick_seconds: float
    """The process sends a tick so often, which shows that it is not stopped."""
    runtime: Runtime
    memory_bytes: int | None
    """A limit on address space, for the stage that parses files."""
    dataset: Path
    inputs: dict[StageName, Path]
    facts: dict[StageName, StageFacts]
    adapter: Path | None
    later_runs: list[RunInputs]
    parts: dict[str, Path]
    config: PruneConfig
    comparison: ComparisonConfig | None
    budget: int
    budget_requested: int | float
    target: TargetUse | None
    files: IngestFiles | None
    part: StagePart | None
    shard: int
    shards: int
    pieces: int
    continued: Continued | None = None
    earlier: dict[str, Path] = Field(default_factory=dict)

    def context(self, reporter: Reporter) -> StageContext:
        """The arguments of the stage's function; makes the folders that it writes to."""
        for folder in (self.out, self.checkpoint_dir):
            folder.mkdir(parents=True, exist_ok=True)
        names = {field.name for field in fields(StageContext)} & StageOrder.model_fields.keys()
        return StageContext(reporter=reporter, **{name: getattr(self, name) for name in names})


class Start(Record):
    """The one line that a process reads before it works."""

    order: StageOrder
    pipe: int
    """The file descriptor that the process answers through."""
    parent: int
    """The worker's process id: the process ends when the worker does."""


class ForkOrder(Record):
    """A stage whose process is to be forked; three file descriptors come with it.

    They are the standard input of the process, the file of what it prints, and the pipe it answers through.
    """

    stage: StageName
    modules: tuple[str, ...]
    """What is loaded besides the module of the stage."""
    tick_seconds: float
    """The pipe gets a tick so often while the libraries of the stage are loaded."""
    environment: dict[str, str | None]
    """The variables that differ from those which the server was started with; ``None``: unset."""


class _Answer(Record):
    used_gpu: bool = False
    """Whether the process has begun to use a GPU; once true it stays true."""


class Forked(Record):
    """The process was forked and waits for its :class:`Start`."""

    kind: Literal["forked"] = "forked"
    pid: int
    pipe: int
    """The file descriptor of its end of this pipe."""
    adopted: bool
    """Whether it is a child of the worker by now; if not, it ends and does no work."""


class Tick(_Answer):
    """The process is alive."""

    kind: Literal["tick"] = "tick"


class Progress(_Answer):
    """``done`` of ``total`` ``unit``s are finished."""

    kind: Literal["progress"] = "progress"
    done: int
    total: int
    unit: str


class Metric(_Answer):
    """A figure to show beside the stage; the last one of a name wins."""

    kind: Literal["metric"] = "metric"
    name: str
    value: float


class Point(_Answer):
    """A point of a curve."""

    kind: Literal["point"] = "point"
    name: str
    step: int
    value: float


class Event(_Answer):
    """Something that happened once."""

    kind: Literal["event"] = "event"
    event: str
    data: dict[str, Any]
    """Each kind of event has its own fields."""


class Finished(_Answer):
    """The stage's files are complete."""

    kind: Literal["finished"] = "finished"
    details: dict[str, Any]
    """Each stage has its own; see :class:`~dealrec.stages.context.StageResult`."""
    metrics: dict[str, float]


class Stopped(_Answer):
    """The stage was asked to stop and did."""

    kind: Literal["stopped"] = "stopped"


class Refused(_Answer):
    """The input cannot be used; a further attempt would end in the same way."""

    kind: Literal["refused"] = "refused"
    problem: dict[str, Any]
    """The problem document that people get."""


class NoMemory(_Answer):
    """An allocation failed."""

    kind: Literal["no_memory"] = "no_memory"


class Raised(_Answer):
    """The stage's function raised an exception that is no answer to a bad input.

    The exception's text may quote rows, so only its type and its place leave the process.
    """

    kind: Literal["raised"] = "raised"
    type: str
    frames: list[str]


News = Tick | Progress | Metric | Point | Event
Ending = Finished | Stopped | Refused | NoMemory | Raised
ANSWER: TypeAdapter[Forked | News | Ending] = TypeAdapter(
    Annotated[Forked | News | Ending, Field(discriminator="kind")]
)
