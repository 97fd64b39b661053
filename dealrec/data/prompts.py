"""The record of a sample in words: the turns that a language model reads, and the answer that it learns.

Whatever makes texts gives this record: a :class:`~dealrec.data.prompter.Prompter` from the samples of a
data set, and readers of files whose texts stand as they are. Whatever reads texts takes it: effort,
gradients, embeddings, fine-tuning and evaluation through the one
:class:`~dealrec.language_models.tokens.Encoder`, and exports through :attr:`PromptedSample.messages`,
:attr:`PromptedSample.prompt` and :attr:`PromptedSample.completion`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from dealrec.config.prompt import PromptFormat

_INSTRUCTION, _INPUT = "### Instruction:\n", "\n\n### Input:\n"
"""Headings in the frame of Alpaca."""
_CUE_WORDS = 2


class Role(StrEnum):
    """Who speaks in a turn."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True)
class PromptedSample:
    """One sample in words.

    The request is the last turn of the user: :attr:`before`, :attr:`history` and :attr:`after`, one
    behind the other.

    Examples:
        >>> sample = PromptedSample.plain("Name the next film.", '"Alien", "Brazil"', '"Dune"')
        >>> print(sample.prompt + sample.completion)
        Name the next film.
        "Alien", "Brazil"
        Next: "Dune"
        >>> [(turn.role.value, turn.content) for turn in sample.messages][-1]
        ('assistant', '"Dune"')
    """

    before: str
    """The request up to the history."""
    history: str
    """The words of the history, oldest first. Where a text is too long, its oldest tokens are left out."""
    after: str
    """The rest of the request."""
    output: str
    """The answer: what the language model learns."""
    gap: str = ""
    """The space between prompt and answer, where no chat template parts them."""
    earlier: tuple[Message, ...] = ()
    """The turns before the request, such as one of the system."""
    format: PromptFormat = PromptFormat.AUTO
    """Whether language models read the turns in their chat template."""

    @classmethod
    def plain(
        cls,
        instruction: str,
        given: str,
        output: str,
        format: PromptFormat = PromptFormat.AUTO,  # noqa: A002
    ) -> "PromptedSample":
        """Make a sample of the three texts of instruction tuning; ``given``, the input, may be empty.

        The prompt begins with the instruction, which the samples of a data set share. The answer begins
        with the space that separates the two.
        """
        cue = "\nNext:" if given else "Next:"
        return cls(f"{instruction}\n", given, cue, output, gap=" ", format=format)

    @classmethod
    def completed(cls, prompt: str, completion: str) -> "PromptedSample":
        """Make a sample of a ready prompt and its completion, which stand as they are.

        Where it is too long, the oldest tokens of the prompt are left out.
        """
        output = completion.lstrip()
        return cls("", prompt, "", output, gap=completion[: len(completion) - len(output)])

    @classmethod
    def conversation(cls, messages: Sequence[Message]) -> "PromptedSample":
        """Make a sample of ready turns, which stand as they are.

        The last turn is the assistant's, and is the answer; the one before it is the request. Where the
        sample is too long, the oldest tokens of the request are left out.

        Raises:
            ValueError: The turns do not end with one of the user and one of the assistant.
        """
        roles = [message.role for message in messages[-2:]]
        if roles != [Role.USER, Role.ASSISTANT]:
            raise ValueError("the last two turns must be a `user` turn and an `assistant` turn")
        *earlier, request, answer = messages
        return cls("", request.content, "", answer.content, "\n\n", tuple(earlier))

    @property
    def request(self) -> str:
        """The last turn of the user."""
        return f"{self.before}{self.history}{self.after}"

    @property
    def prompt(self) -> str:
        """What stands before the answer without a chat template: the turns, with empty lines between."""
        return "\n\n".join([*(turn.content for turn in self.earlier), self.request])

    @property
    def completion(self) -> str:
        """What follows :attr:`prompt`: the gap and the answer."""
        return f"{self.gap}{self.output}"

    @property
    def turns(self) -> tuple[Message, ...]:
        """The turns before the answer."""
        return (*self.earlier, Message(Role.USER, self.request))

    @property
    def messages(self) -> tuple[Message, ...]:
        """The whole conversation; the last turn is the answer."""
        return (*self.turns, Message(Role.ASSISTANT, self.output))

    @property
    def instruction(self) -> str:
        """The text before the line in which the history begins, for formats with an instruction.

        Where there is no such line, it is all that stands before the history. Of a request in the frame of
        Alpaca it is the part under the heading of that name.
        """
        return "\n\n".join([*(turn.content for turn in self.earlier), self._split[0]])

    @property
    def input(self) -> str:
        """The request without :attr:`instruction`, for formats that have an input beside it.

        A last line of a word or two that asks for the answer (``Next:``) is left out: such formats have one.
        """
        after = "" if _is_cue(self.after) else self.after
        return f"{self._split[1]}{self.history}{after}"

    @property
    def _split(self) -> tuple[str, str]:
        """The instruction, and what of :attr:`before` does not belong to it."""
        framed = self.before.partition(_INSTRUCTION)[2].partition(_INPUT)
        if framed[1]:
            return framed[0], framed[2]
        lines, _, begun = self.before.rpartition("\n")
        return (lines, begun) if lines else (self.before, "")

    def without_history(self) -> "PromptedSample":
        """Leave the history out, and one of two line ends that would meet."""
        meet = self.before.endswith("\n") and self.after.startswith("\n")
        return replace(self, history="", after=self.after[1:] if meet else self.after)

    def answered(self, output: str) -> "PromptedSample":
        """Return the sample with another answer."""
        return replace(self, output=output)


def _is_cue(text: str) -> bool:
    """Whether the end of a request is a line such as ``Next:`` or ``### Response:``, and nothing else."""
    line = text.strip()
    return line.endswith(":") and "\n" not in line and len(line.split()) <= _CUE_WORDS
