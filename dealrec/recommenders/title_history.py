"""A history as the titles in it, each of which the language model read by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dealrec.data.prompter import quoted_titles
from dealrec.data.prompts import PromptedSample
from dealrec.errors import FieldError, InputError
from dealrec.language_models.tokens import EncodedSample


@dataclass(frozen=True)
class TitleHistory:
    """The titles of a history."""

    places: tuple[int, ...]
    """Their places in the catalogue, oldest first."""

    def __len__(self) -> int:
        return len(self.places)


def title_history(sample: PromptedSample, catalogue: Mapping[str, int]) -> TitleHistory:
    """Find the titles of a sample's history in the ``catalogue``, which maps a title to its place.

    Raises:
        InputError: ``history_not_titles`` if the history is not written as quoted titles;
            ``unknown_title`` if the catalogue lacks one of them.
    """
    titles = quoted_titles(sample.history)
    if titles is None:
        raise InputError(
            "`finetune.encoder.history: titles` needs histories of quoted titles, as the prompt "
            "`plain` writes them. Use that prompt, or `finetune.encoder.history: prompt`.",
            code="history_not_titles",
            errors=[FieldError("finetune.encoder.history", "the history is not a list of titles")],
        )
    return TitleHistory(tuple(place_of(title, catalogue) for title in titles))


def place_of(title: str, catalogue: Mapping[str, int]) -> int:
    """Return the place of ``title``.

    Raises:
        InputError: ``unknown_title`` if the catalogue has no such title.
    """
    if title not in catalogue:
        raise InputError(
            f"The title {title} of a sample is not in the catalogue. Give the items file with which "
            "the coreset was made.",
            code="unknown_title",
            errors=[FieldError("items", f"has no title {title}")],
        )
    return catalogue[title]


def padded_histories(histories: Sequence[TitleHistory], decay: float) -> tuple[Tensor, Tensor]:
    """Return [b, k] places and [b, k] float32 weights; places behind a history's end weigh nothing.

    The newest title weighs 1, and each other one ``decay`` times the title that follows it.
    """
    width = max(1, *map(len, histories)) if histories else 1
    places = torch.zeros(len(histories), width, dtype=torch.long)
    weights = torch.zeros(len(histories), width)
    for row, history in enumerate(histories):
        count = len(history)
        places[row, :count] = torch.tensor(history.places, dtype=torch.long)
        weights[row, :count] = decay ** torch.arange(count - 1, -1, -1)
    return places, weights


def chosen(
    histories: Sequence[EncodedSample] | Sequence[TitleHistory], places: Sequence[int]
) -> list[EncodedSample] | list[TitleHistory]:
    """Return the histories at ``places``, which are all of one kind."""
    return [histories[place] for place in places]  # type: ignore[return-value]
