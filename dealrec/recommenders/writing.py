"""The titles that a language model writes after prompts, by beam search in batches."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteria, StoppingCriteriaList

from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.language_models.memory import run_in_halves
from dealrec.language_models.quiet import quiet_transformers
from dealrec.language_models.tokens import EncodedSample, batches_by_tokens


def write_titles(
    loaded: LoadedLanguageModel,
    samples: Sequence[EncodedSample],
    *,
    beams: int = 4,
    max_title_tokens: int = 32,
    batch_tokens: int = 4096,
    on_batch: Callable[[], None] = lambda: None,
) -> list[str]:
    """What the best of ``beams`` beams writes after each sample's prompt, less its quotes.

    Args:
        loaded: The model that writes.
        samples: Their answers are not read.
        beams: Of the search; the best one's text is given back.
        max_title_tokens: A longer title is cut.
        batch_tokens: Padded prompt tokens, beams counted, that are generated from at a time.
        on_batch: Called before each batch.
    """
    loaded.model.eval()
    written = [""] * len(samples)
    lengths = [(sample.answer + max_title_tokens) * beams for sample in samples]

    def write(batch: Sequence[int]) -> None:
        prompts = [samples[index].ids[: samples[index].answer] for index in batch]
        for index, title in zip(
            batch, _written(loaded, prompts, beams, max_title_tokens), strict=True
        ):
            written[index] = title

    for batch in batches_by_tokens(lengths, batch_tokens):
        on_batch()
        run_in_halves(batch, write)
    return written


def _written(
    loaded: LoadedLanguageModel, prompts: Sequence[list[int]], beams: int, max_title_tokens: int
) -> list[str]:
    """Prompts are padded on the left: what is generated follows the last token of each."""
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
    """Of each row: nothing that it could still write would change :func:`_title`."""

    def __init__(self, tokenizer: Any, width: int) -> None:
        self._tokenizer, self._width = tokenizer, width

    def __call__(self, input_ids: Tensor, _scores: Tensor, **_kwargs: Any) -> Tensor:
        texts = self._tokenizer.batch_decode(input_ids[:, self._width :], skip_special_tokens=True)
        return torch.tensor([_is_whole(text) for text in texts], device=input_ids.device)


def _is_whole(text: str) -> bool:
    begun = text.lstrip()
    return "\n" in begun or (begun.startswith('"') and '"' in begun[1:])


def _title(text: str) -> str:
    """Up to the closing quote of the first quoted title, or the first line where none is quoted."""
    line = text.strip().partition("\n")[0]
    return line[1:].partition('"')[0] if line.startswith('"') else line
