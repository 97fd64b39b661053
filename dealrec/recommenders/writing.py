"""A language model writes answers after prompts, by beam search in batches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteria, StoppingCriteriaList

from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.language_models.memory import run_in_halves
from dealrec.language_models.quiet import quiet_transformers
from dealrec.language_models.tokens import batches_by_tokens


@dataclass(frozen=True)
class AnswerForm:
    """How an answer is told from what a model writes around it."""

    quoted: bool = True
    """Whether an answer that begins with a double quote ends with the next one."""
    one_line: bool = True
    """Whether an answer ends with its line."""
    lead: str = ""
    """What a chat template writes before every answer, such as an empty thought."""
    lead_tokens: int = 0
    tail: str = ""
    """What it writes behind every answer, where that is no special token."""
    stops: tuple[int, ...] = ()
    """Tokens of a chat template that end an answer, beside the end of the text."""

    @classmethod
    def of(
        cls, tokenizer: Any, outputs: Sequence[str], endings: Sequence[Sequence[int]]
    ) -> "AnswerForm":
        """Find the form of a catalogue's answers.

        Args:
            tokenizer: The model's.
            outputs: The answers.
            endings: The tokens of each behind a prompt, its end included.
        """
        written = tokenizer.decode(endings[0], skip_special_tokens=True)
        lead, _, tail = written.partition(outputs[0])
        special = {
            number for number, token in tokenizer.added_tokens_decoder.items() if token.special
        }
        ends = special.intersection(*endings[:100]) - {tokenizer.eos_token_id}
        return cls(
            quoted=all(_is_quoted(output) for output in outputs),
            one_line=not any("\n" in output for output in outputs),
            lead=lead.strip(),
            tail=tail.strip(),
            lead_tokens=len(tokenizer(lead, add_special_tokens=False)["input_ids"])
            if lead.strip()
            else 0,
            stops=tuple(sorted(ends)),
        )

    def answer(self, text: str) -> str:
        """Return the answer in a written text; a quoted one without its quotes."""
        begun = self._begun(text).strip()
        line = begun.partition("\n")[0] if self.one_line else begun
        quoted = self.quoted and line.startswith('"')
        return line[1:].partition('"')[0] if quoted else line

    def is_whole(self, text: str) -> bool:
        """Whether no further text can change :meth:`answer`."""
        begun = self._begun(text).lstrip()
        if self.tail and self.tail in text:
            return True
        if self.one_line and "\n" in begun:
            return True
        return self.quoted and begun.startswith('"') and '"' in begun[1:]

    def _begun(self, text: str) -> str:
        begun = text.lstrip()
        if self.lead.startswith(begun[: len(self.lead)]):
            begun = begun[len(self.lead) :]
        return begun.partition(self.tail)[0] if self.tail else begun


def _is_quoted(output: str) -> bool:
    return len(output) > 1 and output.startswith('"') and output.find('"', 1) == len(output) - 1


TITLE = AnswerForm()
"""A quoted title, or a line."""


def write_titles(
    loaded: LoadedLanguageModel,
    prompts: Sequence[list[int]],
    *,
    beams: int = 4,
    max_title_tokens: int = 32,
    batch_tokens: int = 4096,
    form: AnswerForm = TITLE,
    on_batch: Callable[[], None] = lambda: None,
) -> list[str]:
    """Write an answer after each prompt, and return it without quotes.

    Args:
        loaded: The model that writes.
        prompts: The tokens of each.
        beams: Beams of the search; the text of the best one is returned.
        max_title_tokens: A longer answer is cut.
        batch_tokens: Padded tokens in a batch, counted for every beam.
        form: How the answer is told from what is written around it.
        on_batch: It is called before each batch.
    """
    loaded.model.eval()
    written = [""] * len(prompts)
    longest = max_title_tokens + form.lead_tokens
    lengths = [(len(prompt) + longest) * beams for prompt in prompts]

    def write(batch: Sequence[int]) -> None:
        taken = [prompts[index] for index in batch]
        for index, title in zip(batch, _written(loaded, taken, beams, longest, form), strict=True):
            written[index] = title

    for batch in batches_by_tokens(lengths, batch_tokens):
        on_batch()
        run_in_halves(batch, write)
    return written


def as_written(
    loaded: LoadedLanguageModel,
    endings: Sequence[Sequence[int]],
    max_title_tokens: int,
    form: AnswerForm = TITLE,
) -> list[str]:
    """Return what :func:`write_titles` would return for the tokens of answers, written to the letter."""
    longest = max_title_tokens + form.lead_tokens
    texts = loaded.tokenizer.batch_decode(
        [ids[:longest] for ids in endings], skip_special_tokens=True
    )
    return [form.answer(text) for text in texts]


def _written(
    loaded: LoadedLanguageModel,
    prompts: Sequence[list[int]],
    beams: int,
    longest: int,
    form: AnswerForm,
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
            max_new_tokens=longest,
            pad_token_id=pad,
            eos_token_id=[*form.stops, tokenizer.eos_token_id]
            if form.stops
            else tokenizer.eos_token_id,
            stopping_criteria=StoppingCriteriaList([_IsWhole(tokenizer, width, form)]),
        )
    texts = tokenizer.batch_decode(made[:, width:], skip_special_tokens=True)
    return [form.answer(text) for text in texts]


class _IsWhole(StoppingCriteria):  # type: ignore[misc]
    """Stops each row as soon as no further text can change its answer."""

    def __init__(self, tokenizer: Any, width: int, form: AnswerForm) -> None:
        self._tokenizer, self._width, self._form = tokenizer, width, form

    def __call__(self, input_ids: Tensor, _scores: Tensor, **_kwargs: Any) -> Tensor:
        texts = self._tokenizer.batch_decode(input_ids[:, self._width :], skip_special_tokens=True)
        return torch.tensor([self._form.is_whole(text) for text in texts], device=input_ids.device)
