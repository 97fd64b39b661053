"""Texts of samples as tables keep them, and as the rows of people's files have them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from dealrec.data.prompts import Message, PromptedSample, Role

_PARTS = ("before", "history", "after", "output", "gap")
_TURN = pa.struct({"role": pa.string(), "content": pa.string()})
TEXT = pa.struct({**dict.fromkeys(_PARTS, pa.string()), "earlier": pa.list_(_TURN)})
"""The type of a column that keeps whole samples in words."""
_SPEAKERS = {"human": "user", "gpt": "assistant"}
"""What ShareGPT calls the roles."""
FIELDS = (
    "messages", "conversations", "prompt", "completion", "instruction", "input", "output",
)  # fmt: skip
"""The fields of rows that hold texts."""


def text_record(sample: PromptedSample) -> dict[str, Any]:
    """Make the value of a column of the type :data:`TEXT`."""
    turns = [{"role": turn.role.value, "content": turn.content} for turn in sample.earlier]
    return {**{name: getattr(sample, name) for name in _PARTS}, "earlier": turns}


def recorded_sample(record: Mapping[str, Any]) -> PromptedSample:
    """Make the sample of a value that :func:`text_record` made."""
    turns = (Message(Role(turn["role"]), turn["content"]) for turn in record["earlier"])
    return PromptedSample(**{name: record[name] for name in _PARTS}, earlier=tuple(turns))


def sample_of_row(row: Mapping[str, Any]) -> PromptedSample:
    """Read the texts of a row in any of the shapes that trainers have.

    - ``text``, the whole record that a coreset keeps of words that are not the plain ones
    - ``messages``, or ``conversations`` as in ShareGPT, whose last turns are the user's and the assistant's
    - ``prompt`` and ``completion``, both texts or both lists of turns
    - ``instruction``, ``output`` and, where there is one, ``input``

    Raises:
        ValueError: The row has none of these.
    """
    record = row.get("text")
    if isinstance(record, Mapping):
        try:
            return recorded_sample(record)
        except (KeyError, TypeError):
            raise ValueError("`text` is not the record of a sample") from None
    for name in ("messages", "conversations"):
        if row.get(name) is not None:
            return PromptedSample.conversation(_turns(row[name]))
    if row.get("prompt") is not None:
        prompt, completion = row["prompt"], row.get("completion")
        if isinstance(prompt, str) and isinstance(completion, str):
            return PromptedSample.completed(prompt, completion)
        return PromptedSample.conversation([*_turns(prompt), *_turns(completion)])
    instruction, given, output = row.get("instruction"), row.get("input") or "", row.get("output")
    if not (isinstance(instruction, str) and isinstance(given, str) and isinstance(output, str)):
        raise ValueError("the row has no texts in a known format")
    return PromptedSample.plain(instruction, given, output)


def _turns(found: Any) -> Sequence[Message]:
    if not isinstance(found, list):
        raise ValueError("the turns are not a list")
    return [_turn(turn) for turn in found]


def _turn(found: Any) -> Message:
    if not isinstance(found, Mapping):
        raise ValueError("a turn is not an object")
    role = found.get("role", found.get("from"))
    content = found.get("content", found.get("value"))
    if not isinstance(role, str) or not isinstance(content, str):
        raise ValueError("a turn lacks a role or a text")
    return Message(Role(_SPEAKERS.get(role, role)), content)
