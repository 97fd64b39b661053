"""A sample as a row of each format that trainers read."""

from typing import TypedDict

from dealrec.data.prompts import PromptedSample

_NAMES = {"system": "system", "user": "human", "assistant": "gpt"}
"""The names that ShareGPT has for roles."""


class Turn(TypedDict):
    """A turn as chat fine-tuning APIs have it."""

    role: str
    content: str


Part = TypedDict("Part", {"from": str, "value": str})


class AlpacaRow(TypedDict):
    """The row of instruction tuning."""

    instruction: str
    input: str
    output: str


class MessagesRow(TypedDict):
    """The row of chat fine-tuning APIs."""

    messages: list[Turn]


class PairRow(TypedDict):
    """The row of TRL's type *standard prompt-completion*."""

    prompt: str
    completion: str


class ConversationalRow(TypedDict):
    """The row of TRL's type *conversational prompt-completion*."""

    prompt: list[Turn]
    completion: list[Turn]


class ShareGptRow(TypedDict):
    """The row of ShareGPT."""

    conversations: list[Part]


def alpaca_row(sample: PromptedSample) -> AlpacaRow:
    """The three texts of the sample."""
    return {"instruction": sample.instruction, "input": sample.input, "output": sample.output}


def messages_row(sample: PromptedSample) -> MessagesRow:
    """All turns, of which the last is the answer."""
    return {"messages": _turns(sample)}


def pair_row(sample: PromptedSample) -> PairRow:
    """The text up to the answer, and the answer with the space before it."""
    return {"prompt": sample.prompt, "completion": sample.completion}


def conversational_row(sample: PromptedSample) -> ConversationalRow:
    """The turns up to the answer, and the turn of the answer."""
    *prompt, answer = _turns(sample)
    return {"prompt": prompt, "completion": [answer]}


def sharegpt_row(sample: PromptedSample) -> ShareGptRow:
    """All turns under the names of ShareGPT."""
    turns = _turns(sample)
    return {
        "conversations": [
            {"from": _NAMES[turn["role"]], "value": turn["content"]} for turn in turns
        ]
    }


def _turns(sample: PromptedSample) -> list[Turn]:
    return [{"role": turn.role.value, "content": turn.content} for turn in sample.messages]
