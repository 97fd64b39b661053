"""Turns samples into tokens (prompt, answer, end of text) for effort, training and generation alike."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from dealrec.config.effort import LossSpan
from dealrec.data.prompts import PromptedSample, render
from dealrec.errors import FieldError, InputError
from dealrec.language_models.loading import LoadedLanguageModel, longest_text


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

    A longer sample loses the oldest tokens of its input (the history). If the instruction alone is
    too long, the sample also loses the oldest remaining tokens of its prompt. The answer is never
    cut.
    """

    def __init__(self, tokenizer: Any, max_tokens: int) -> None:
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        start = tokenizer.bos_token_id
        adds_start = start is not None and tokenizer("")["input_ids"][:1] == [start]
        self._start: list[int] = [start] if adds_start else []
        end = tokenizer.eos_token_id
        self._end: list[int] = [] if end is None else [end]

    @classmethod
    def for_model(cls, loaded: LoadedLanguageModel, max_tokens: int) -> "Encoder":
        """Make the encoder of a model, which may itself take fewer than ``max_tokens`` tokens."""
        longest = longest_text(loaded.model.config)
        return cls(loaded.tokenizer, min(max_tokens, longest or max_tokens))

    def encode(self, samples: Sequence[PromptedSample]) -> list[EncodedSample]:
        """Tokenize each sample.

        Raises:
            InputError: ``max_tokens_too_small`` if an answer alone does not fit.
        """
        if not samples:
            return []
        branched = self.encode_branched(samples, [[sample.output] for sample in samples])
        return [text.alone()[0] for text in branched]

    def encode_branched(
        self, samples: Sequence[PromptedSample], outputs: Sequence[Sequence[str]]
    ) -> list[BranchedText]:
        """Tokenize each sample with every one of its ``outputs`` in the place of its own.

        The prompt is cut so that it leaves room for the longest of them; it is the same for all.

        Raises:
            InputError: ``max_tokens_too_small`` if an answer alone does not fit.
        """
        if not samples:
            return []
        different = sorted({output for row in outputs for output in row})
        answers = [render(replace(samples[0], output=output))[1] for output in different]
        endings = {
            output: [*ids, *self._end]
            for output, ids in zip(different, self._ids(answers), strict=True)
        }
        prompts = [render(sample)[0] for sample in samples]
        encoded = []
        for sample, prompt, ids, row in zip(
            samples, prompts, self._ids(prompts), outputs, strict=True
        ):
            mine = [endings[output] for output in row]
            room = self._max_tokens - len(self._start) - max(map(len, mine))
            kept = ids if len(ids) <= room else self._cut(sample, prompt, room)
            encoded.append(BranchedText([*self._start, *kept], mine))
        return encoded

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        ids: list[list[int]] = self._tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return ids

    def _cut(self, sample: PromptedSample, prompt: str, room: int) -> list[int]:
        """Return ``room`` tokens of the prompt, without the oldest tokens of its input."""
        if room < 1:
            raise InputError(
                f"max_tokens is {self._max_tokens}, which is not enough for the longest answer.",
                code="max_tokens_too_small",
                errors=[FieldError("max_tokens", "an answer alone does not fit")],
            )
        first = prompt.rfind(sample.input) if sample.input else len(prompt)
        tokens = self._tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True)
        ids: list[int] = tokens["input_ids"]
        spans = tokens["offset_mapping"]
        last = first + len(sample.input)
        inside = [i for i, (start, end) in enumerate(spans) if first <= start and end <= last]
        dropped = set(inside[: len(ids) - room])
        kept = [token for i, token in enumerate(ids) if i not in dropped]
        return kept[len(kept) - room :]


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
