"""A language model writes titles after prompts, by beam search in batches."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteria, StoppingCriteriaList

from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.language_models.memory import run_in_halves
from dealrec.language_models.quiet import quiet_transformers
from dealrec.language_models.tokens import batches_by_tokens


def write_titles(
    loaded: LoadedLanguageModel,
    prompts: Sequence[list[int]],
    *,
    beams: int = 4,
    max_title_tokens: int = 32,
    batch_tokens: int = 4096,
    on_batch: Callable[[], None] = lambda: None,
) -> list[str]:
    """Write a title after each prompt, and return it without its quotes.

    Args:
        loaded: The model that writes.
        prompts: The tokens of each.
        beams: Beams of the search; the text of the best one is returned.
        max_title_tokens: A longer title is cut.
        batch_tokens: Padded tokens in a batch, counted for every beam.
        on_batch: It is called before each batch.
    """
    loaded.model.eval()
    written = [""] * len(prompts)
    lengths = [(len(prompt) + max_title_tokens) * beams for prompt in prompts]

    def write(batch: Sequence[int]) -> None:
        taken = [prompts[index] for index in batch]
        for index, title in zip(
            batch, _written(loaded, taken, beams, max_title_tokens), strict=True
        ):
            written[index] = title

    for batch in batches_by_tokens(lengths, batch_tokens):
        on_batch()
        run_in_halves(batch, write)
    return written


def as_written(
    loaded: LoadedLanguageModel, answers: Sequence[str], max_title_tokens: int
) -> list[str]:
    """Return the titles that :func:`write_titles` would return for answers written to the letter."""
    tokens = loaded.tokenizer(list(answers), add_special_tokens=False)["input_ids"]
    texts = loaded.tokenizer.batch_decode(
        [ids[:max_title_tokens] for ids in tokens], skip_special_tokens=True
    )
    return [_title(text) for text in texts]


def _written(
    loaded: LoadedLanguageModel, prompts: Sequence[list[int]], beams: int, max_title_tokens: int
) -> list[str]:
    """Generate after prompts, which are padded on the left so that generation follows their last token."""
    tokenizer = loaded.tokenizer
    pad, width = tokenizer.pad_token_id or 0, max(map(len, prompts))
    rows = [[pad] * (width - len(prompt)) + prompt for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    with quiet_transformers(), torch.no_grad():
        made = loaded.model.generate(
            input_ids=torch.tensor(rows, device=loaded.device),
            attention_mask=torch.tensor(mask, device=loaded.device),
            num_beams=beams,
            do_sample=False,
            max_new_tokens=max_title_tokens,
            pad_token_id=pad,
            eos_token_id=tokenizer.eos_token_id,
            stopping_criteria=StoppingCriteriaList([_TitleIsWhole(tokenizer, width)]),
        )
    texts = tokenizer.batch_decode(made[:, width:], skip_special_tokens=True)
    return [_title(text) for text in texts]


class _TitleIsWhole(StoppingCriteria):  # type: ignore[misc]
    """Stops each row as soon as no further text can change its :func:`_title`."""

    def __init__(self, tokenizer: Any, width: int) -> None:
        self._tokenizer, self._width = tokenizer, width

    def __call__(self, input_ids: Tensor, _scores: Tensor, **_kwargs: Any) -> Tensor:
        texts = self._tokenizer.batch_decode(input_ids[:, self._width :], skip_special_tokens=True)
        return torch.tensor([_is_whole(text) for text in texts], device=input_ids.device)


def _is_whole(text: str) -> bool:
    begun = text.lstrip()
    return "\n" in begun or (begun.startswith('"') and '"' in begun[1:])


def _title(text: str) -> str:
    """Return the first line's quoted title without its quotes; the whole line if it starts with none."""
    line = text.strip().partition("\n")[0]
    return line[1:].partition('"')[0] if line.startswith('"') else line
