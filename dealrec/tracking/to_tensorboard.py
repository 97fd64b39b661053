"""Writes records as the event files that TensorBoard reads."""

import json
import shutil
from pathlib import Path

from dealrec.disk import written_whole
from dealrec.tracking.record import RunRecord


def write(place: str, record: RunRecord) -> str:
    """Write a folder with an event file: curves and figures as scalars, options and tags as texts.

    Returns:
        The name of the folder, which is the record's id.
    """
    from tensorboardX import SummaryWriter

    folder = Path(place).expanduser() / record.id
    ended = record.ended_at.timestamp()
    with written_whole(folder) as unfinished:
        with SummaryWriter(str(unfinished)) as writer:
            drawn = set()
            for stage in record.stages:
                for step, values in stage.rows():
                    for name, value in values.items():
                        drawn.add(name)
                        writer.add_scalar(name, value, step, walltime=ended)
            for name, value in record.figures().items():
                if name not in drawn:
                    writer.add_scalar(name, value, 0, walltime=ended)
            for title, facts in (("options", record.parameters), ("tags", record.tags)):
                writer.add_text(title, _listed(dict(facts)), 0, walltime=ended)
        shutil.rmtree(folder, ignore_errors=True)
    return record.id


def _listed(facts: dict[str, str]) -> str:
    """Facts as a list in Markdown, which TensorBoard shows."""
    return "\n".join(f"- `{name}`: `{json.dumps(value)[1:-1]}`" for name, value in facts.items())
