"""The messages between a worker and the process that runs its stage, one JSON object a line.

The worker writes one :class:`Start`. The process answers with any number of :data:`News` and at the end
with one :data:`Ending`; a process that dies says nothing more.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from dealrec.config import ComparisonConfig, PruneConfig
from dealrec.config.runtime import Runtime
from dealrec.config.stages import StageName, StagePart
from dealrec.progress import Reporter
from dealrec.stages.context import IngestFiles, StageContext, StageFacts


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class StageOrder(_Message):
    """A stage to run: the fields of :class:`~dealrec.stages.context.StageContext`, and limits."""

    stage: StageName
    out: Path
    checkpoint_dir: Path
    tick_seconds: float
    """The process sends a tick so often, which shows that it is not stopped."""
    device: str
    threads: int | None
    memory_bytes: int | None = None
    """A limit on address space, for the stage that parses files."""
    dataset: Path | None = None
    inputs: dict[StageName, Path] = {}
    facts: dict[StageName, StageFacts] = {}
    parts: dict[str, Path] = {}
    config: PruneConfig = PruneConfig()
    comparison: ComparisonConfig | None = None
    budget: int = 0
    budget_requested: int | float = 0
    files: IngestFiles | None = None
    part: StagePart | None = None
    shard: int = 0
    shards: int = 1
    pieces: int = 1

    def context(self, reporter: Reporter) -> StageContext:
        """The arguments of the stage's function; makes the folders that it writes to."""
        for folder in (self.out, self.checkpoint_dir):
            folder.mkdir(parents=True, exist_ok=True)
        return StageContext(
            dataset=self.dataset or Path(),
            inputs=self.inputs,
            facts=self.facts,
            config=self.config,
            out=self.out,
            checkpoint_dir=self.checkpoint_dir,
            reporter=reporter,
            runtime=Runtime(threads=self.threads, device=self.device),
            comparison=self.comparison,
            budget=self.budget,
            budget_requested=self.budget_requested,
            files=self.files,
            part=self.part,
            shard=self.shard,
            shards=self.shards,
            pieces=self.pieces,
            parts=self.parts,
        )


class Start(_Message):
    """The one line that a process reads before it works."""

    order: StageOrder
    pipe: int
    """The file descriptor that the process answers through."""
    parent: int
    """The worker's process id: the process ends when the worker does."""


class _Answer(_Message):
    used_gpu: bool = False
    """Whether the process has begun to use a GPU; once true it stays true."""


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


News = Tick | Progress | Metric | Event
Ending = Finished | Stopped | Refused | NoMemory | Raised
ANSWER: TypeAdapter[News | Ending] = TypeAdapter(
    Annotated[News | Ending, Field(discriminator="kind")]
)
