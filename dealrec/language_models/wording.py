"""How the turns of a sample become text: one behind the other, or in a model's chat template."""

from collections.abc import Sequence
from dataclasses import dataclass
from os.path import commonprefix
from typing import Any, Protocol

from jinja2 import TemplateError

from dealrec.config.model_checks import no_chat_template
from dealrec.config.prompt import PromptFormat
from dealrec.data.prompts import Message, PromptedSample, Role
from dealrec.errors import FieldError, InputError

_PLACE = "config.prompt.format"


@dataclass(frozen=True)
class WordedPrompt:
    """The text before an answer, and where the history stands in it."""

    text: str
    first: int
    last: int
    """The history is ``text[first:last]``."""


class Wording(Protocol):
    """Makes texts of samples and their answers, and the tokens of the answers."""

    start: list[int]
    """The tokens before every prompt."""
    only_history: bool
    """Whether nothing but the history may be left out of a prompt."""

    def prompt(self, sample: PromptedSample) -> WordedPrompt:
        """Return the text before the answer."""

    def answers(self, samples: Sequence[PromptedSample]) -> list[list[int]]:
        """Return the tokens of each sample's answer with its end, as they follow any prompt."""


def wording_of(tokenizer: Any, format: PromptFormat, *, chat: bool) -> Wording:  # noqa: A002
    """Choose the wording of ``format``; ``auto`` is the chat template where ``chat`` says so.

    Raises:
        InputError: ``no_chat_template`` where a template is asked for and the model has none.
    """
    if format is PromptFormat.PLAIN or (format is PromptFormat.AUTO and not chat):
        return PlainWording(tokenizer)
    return ChatWording(tokenizer)


def ids_of(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Tokenize texts without adding anything."""
    ids: list[list[int]] = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return ids


class PlainWording:
    """The prompt, the answer and the end of the text, as the tokenizer marks its texts."""

    only_history = False

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        start = tokenizer.bos_token_id
        adds_start = start is not None and tokenizer("")["input_ids"][:1] == [start]
        self.start: list[int] = [start] if adds_start else []
        end = tokenizer.eos_token_id
        self._end: list[int] = [] if end is None else [end]

    def prompt(self, sample: PromptedSample) -> WordedPrompt:
        """See :meth:`Wording.prompt`."""
        text = sample.prompt
        last = len(text) - len(sample.after)
        return WordedPrompt(text, last - len(sample.history), last)

    def answers(self, samples: Sequence[PromptedSample]) -> list[list[int]]:
        """See :meth:`Wording.answers`."""
        texts = [sample.completion for sample in samples]
        return [[*ids, *self._end] for ids in ids_of(self._tokenizer, texts)]


@dataclass(frozen=True)
class _Opening:
    """How the turn of an answer begins behind some turns."""

    turns: Sequence[Message]
    text: str
    """The words before the answer, from which its tokens are told."""
    place: int
    """Where the answer begins behind these turns."""
    left_out: int
    """Characters that the template would write before an answer, and does not write with one."""


class ChatWording:
    """The turns in the model's chat template.

    The answer is what the template makes of the assistant's turn, the marks of its end included: so the
    tokens and the loss are those of TRL's ``SFTTrainer`` on the same turns as prompt and completion.
    """

    only_history = True

    def __init__(self, tokenizer: Any) -> None:
        if not tokenizer.chat_template:
            raise no_chat_template()
        self._tokenizer = tokenizer
        self._opening: _Opening | None = None
        self.start: list[int] = []  # the template writes it

    def prompt(self, sample: PromptedSample) -> WordedPrompt:
        """See :meth:`Wording.prompt`; templates may remove spaces around a turn."""
        text = self._text(sample.turns, opened=True)
        text = text[: len(text) - self._opened_by(sample).left_out]
        request = sample.request
        stripped = request.strip()
        place = text.rfind(stripped) if stripped else -1
        if place < 0:
            return WordedPrompt(text, len(text), len(text))
        place -= len(request) - len(request.lstrip())
        first = place + len(sample.before)
        last = min(first + len(sample.history), place + len(request.rstrip()))
        return WordedPrompt(text, max(first, 0), last)

    def answers(self, samples: Sequence[PromptedSample]) -> list[list[int]]:
        """See :meth:`Wording.answers`; they are tokenized behind the words that open the turn.

        Raises:
            InputError: ``chat_template_not_usable`` where no answer can be told from its prompt.
        """
        opening = self._opened_by(samples[0])
        wholes = (self._whole(opening.turns, sample.output) for sample in samples)
        texts = [opening.text + whole[opening.place :] for whole in wholes]
        (lead,) = ids_of(self._tokenizer, [opening.text])
        found = ids_of(self._tokenizer, texts)
        if any(ids[: len(lead)] != lead for ids in found):
            raise _not_usable(
                "the tokenizer merges the beginning of an answer with the end of its prompt"
            )
        return [ids[len(lead) :] for ids in found]

    def _opened_by(self, sample: PromptedSample) -> "_Opening":
        """Find the words that open the answer's turn; they are the same for every sample.

        Some templates open a turn with words that they do not write once the answer is there. As in
        TRL, the answer then begins where the two differ.
        """
        if self._opening is None:
            turns = sample.without_history().turns
            closed, opened = self._text(turns), self._text(turns, opened=True)
            texts = [opened, self._whole(turns, "A"), self._whole(turns, "B")]
            common = commonprefix(texts)  # noqa: RUF071 - texts, not paths
            if len(common) < len(closed):
                raise _not_usable("it renders the prompt differently once the answer is added")
            # Without words that open the turn, the answer follows the whole prompt.
            text = common[len(closed) :] or common
            self._opening = _Opening(turns, text, len(common), len(opened) - len(common))
        return self._opening

    def _whole(self, turns: Sequence[Message], output: str) -> str:
        return self._text((*turns, Message(Role.ASSISTANT, output)))

    def _text(self, turns: Sequence[Message], *, opened: bool = False) -> str:
        try:
            text: str = self._tokenizer.apply_chat_template(
                [{"role": turn.role.value, "content": turn.content} for turn in turns],
                tokenize=False,
                add_generation_prompt=opened,
            )
        except TemplateError as error:
            raise _not_usable(f"it reports: {error.message}") from None
        return text


def _not_usable(reason: str) -> InputError:
    return InputError(
        f"The chat template of the language model cannot be used with this prompt: {reason}. Use "
        "`prompt.format: plain`, or a prompt with other turns.",
        code="chat_template_not_usable",
        title="The chat template cannot be used",
        errors=[FieldError(_PLACE, reason)],
    )
