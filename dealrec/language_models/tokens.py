"""Turns samples into tokens (prompt, answer, end of text) for effort, training and generation alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dealrec.config.effort import LossSpan
from dealrec.config.language_models import language_model
from dealrec.config.prompt import PromptFormat
from dealrec.data.prompts import PromptedSample
from dealrec.errors import FieldError, InputError
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.language_models.wording import (
    PlainWording,
    WordedPrompt,
    Wording,
    ids_of,
    wording_of,
)


@dataclass(frozen=True)
class EncodedSample:
    """A sample as tokens."""

    ids: list[int]
    """The prompt, the answer and the end-of-text token."""
    answer: int
    """The place in ``ids`` at which the answer starts."""

    @property
    def key(self) -> tuple[int, ...]:
        """All tokens, as a key under which states are kept."""
        return tuple(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def first_label(self, loss_on: LossSpan) -> int:
        """Return the place of the first token in the loss; nothing predicts the very first token."""
        return max(self.answer, 1) if loss_on is LossSpan.ANSWER else 1


@dataclass(frozen=True)
class BranchedText:
    """A prompt with several answers, each of which follows the prompt and none of the others."""

    prompt: list[int]
    answers: list[list[int]]
    """The tokens of each answer, the end-of-text token included."""

    @property
    def read(self) -> list[list[int]]:
        """The tokens of each answer that the model reads: nothing is predicted after the last one."""
        return [answer[:-1] for answer in self.answers]

    @property
    def key(self) -> tuple[int, ...]:
        """All tokens that are read, with -1 before each answer."""
        return (*self.prompt, *(token for answer in self.read for token in (-1, *answer)))

    def __len__(self) -> int:
        return len(self.prompt) + sum(map(len, self.read))

    def alone(self) -> list[EncodedSample]:
        """Return a text for each answer: the prompt, then that answer."""
        first = len(self.prompt)
        return [EncodedSample([*self.prompt, *answer], first) for answer in self.answers]


Text = EncodedSample | BranchedText


class Encoder:
    """Turns samples into at most ``max_tokens`` tokens each.

    A longer sample loses the oldest tokens of its history. Without a chat template, one whose other
    words are too long loses the oldest remaining tokens of its prompt as well. The answer is never cut.

    Args:
        tokenizer: The model's.
        max_tokens: The most tokens of a text.
        chat: Whether samples whose format is ``auto`` are written in the model's chat template.
    """

    def __init__(self, tokenizer: Any, max_tokens: int, *, chat: bool = False) -> None:
        self._tokenizer, self._max_tokens, self._chat = tokenizer, max_tokens, chat
        self._wordings: dict[PromptFormat, Wording] = {}

    @classmethod
    def for_model(cls, loaded: LoadedLanguageModel, max_tokens: int) -> "Encoder":
        """Make the encoder of a model, which may itself take fewer than ``max_tokens`` tokens."""
        limit = min(max_tokens, loaded.longest or max_tokens)
        return cls(loaded.tokenizer, limit, chat=reads_chat(loaded.source, loaded.tokenizer))

    def encode(self, samples: Sequence[PromptedSample]) -> list[EncodedSample]:
        """Tokenize each sample.

        Raises:
            InputError: As :meth:`encode_branched`.
        """
        branched = self.encode_branched(samples, [[sample.output] for sample in samples])
        return [text.alone()[0] for text in branched]

    def encode_branched(
        self, samples: Sequence[PromptedSample], outputs: Sequence[Sequence[str]]
    ) -> list[BranchedText]:
        """Tokenize each sample with every one of its ``outputs`` in the place of its own.

        The prompt is cut so that it leaves room for the longest of them; it is the same for all. All
        samples have the same format.

        Raises:
            InputError: ``max_tokens_too_small`` if an answer alone does not fit; ``no_chat_template`` and
                ``chat_template_not_usable`` where the chat template is asked for.
        """
        if not samples:
            return []
        wording = self._wording(samples[0].format)
        answered = {
            (sample.gap, output): sample.answered(output)
            for sample, row in zip(samples, outputs, strict=True)
            for output in row
        }
        endings = dict(zip(answered, wording.answers([*answered.values()]), strict=True))
        prompts = [wording.prompt(sample) for sample in samples]
        found = ids_of(self._tokenizer, [prompt.text for prompt in prompts])
        encoded = []
        for sample, prompt, ids, row in zip(samples, prompts, found, outputs, strict=True):
            mine = [endings[sample.gap, output] for output in row]
            room = self._max_tokens - len(wording.start) - max(map(len, mine))
            kept = ids
            if len(ids) > room:
                places = self._kept(prompt, ids, room, wording.only_history)
                kept = [ids[place] for place in places]
            encoded.append(BranchedText([*wording.start, *kept], mine))
        return encoded

    def left_out(self, sample: PromptedSample) -> list[int]:
        """Return the tokens of a sample's prompt that :meth:`encode` leaves out; raises as it does."""
        wording = self._wording(sample.format)
        prompt, (ending,) = wording.prompt(sample), wording.answers([sample])
        (ids,) = ids_of(self._tokenizer, [prompt.text])
        room = self._max_tokens - len(wording.start) - len(ending)
        if len(ids) <= room:
            return []
        kept = set(self._kept(prompt, ids, room, wording.only_history))
        return [token for place, token in enumerate(ids) if place not in kept]

    def is_plain(self, sample: PromptedSample) -> bool:
        """Whether the model reads the sample as its instruction, its input and the line ``Next:``."""
        plain = PromptedSample.plain(sample.instruction, sample.input, sample.output)
        return sample.prompt == plain.prompt and isinstance(
            self._wording(sample.format), PlainWording
        )

    def endings(self, sample: PromptedSample, outputs: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each of ``outputs`` behind the prompt of ``sample``, its end included."""
        wording = self._wording(sample.format)
        return wording.answers([sample.answered(output) for output in outputs])

    def _wording(self, format: PromptFormat) -> Wording:  # noqa: A002
        if format not in self._wordings:
            self._wordings[format] = wording_of(self._tokenizer, format, chat=self._chat)
        return self._wordings[format]

    def _kept(
        self, prompt: WordedPrompt, ids: Sequence[int], room: int, only_history: bool
    ) -> list[int]:
        """Return the places of ``room`` tokens of the prompt, without the oldest ones of its history."""
        if room < 1:
            raise self._too_small("the longest answer", "an answer alone does not fit")
        spans = self._tokenizer(prompt.text, add_special_tokens=False, return_offsets_mapping=True)[
            "offset_mapping"
        ]
        inside = [
            place
            for place, (start, end) in enumerate(spans)
            if prompt.first <= start and end <= prompt.last
        ]
        dropped = set(inside[: len(ids) - room])
        kept = [place for place in range(len(ids)) if place not in dropped]
        if only_history and len(kept) > room:
            raise self._too_small(
                "the words around the history and the answer", "the prompt does not fit"
            )
        return kept[len(kept) - room :]

    def _too_small(self, what: str, reason: str) -> InputError:
        return InputError(
            f"`max_tokens` is {self._max_tokens}, which is not enough for {what}.",
            code="max_tokens_too_small",
            errors=[FieldError("max_tokens", reason)],
        )


def reads_chat(model: str, tokenizer: Any) -> bool:
    """Whether a model reads samples in its chat template where their format is ``auto``.

    It does where the catalogue's entry says so and there is a template.
    """
    entry = language_model(model)
    says_so = entry is not None and entry.prompt_format == "chat"
    return says_so and bool(tokenizer.chat_template)


def padded(samples: Sequence[EncodedSample], pad: int, device: torch.device) -> Tensor:
    """Join the samples' tokens into [b, t] int64, padded on the right to the longest sample."""
    length = max(len(sample) for sample in samples)
    rows = [sample.ids + [pad] * (length - len(sample)) for sample in samples]
    return torch.tensor(rows, dtype=torch.long, device=device)


@dataclass(frozen=True)
class Targets:
    """The ``m`` tokens in the loss of a padded batch, sample by sample."""

    rows: Tensor
    """[m] the sample of each token."""
    positions: Tensor
    """[m] the position whose hidden state predicts the token: one before the token's own."""
    labels: Tensor
    """[m] the tokens themselves."""

    def __len__(self) -> int:
        return len(self.labels)


def loss_targets(tokens: Tensor, samples: Sequence[EncodedSample], loss_on: LossSpan) -> Targets:
    """Return the targets of a padded batch ``tokens`` [b, t]."""
    places = [
        (row, position - 1)
        for row, sample in enumerate(samples)
        for position in range(sample.first_label(loss_on), len(sample))
    ]
    rows, positions = torch.tensor(places, device=tokens.device).unbind(1)
    return Targets(rows, positions, tokens[rows, positions + 1])


def batches_by_tokens(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Cut the indices into ``lengths``, longest first, into batches of at most ``budget`` tokens.

    The size of a batch is its number of samples times its longest one, because shorter ones are
    padded. A sample longer than the budget is a batch by itself. The batches follow from the lengths
    alone.
    """
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    batches: list[list[int]] = []
    for index in order:
        if batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
