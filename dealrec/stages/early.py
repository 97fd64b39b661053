"""Checks, before the first long stage, whether language models can read the samples of a job."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from dealrec.config.language_models import language_model
from dealrec.config.model_use import ModelUse, asks_for_chat
from dealrec.config.prompt import PromptConfig
from dealrec.config.stages import STAGES, StageName
from dealrec.data.dataset import Dataset
from dealrec.data.prompter import AnswerWriter, Prompter
from dealrec.data.prompts import PromptedSample
from dealrec.data.samples import Samples
from dealrec.errors import InputError
from dealrec.stages.context import StageContext

_LONGEST = 64
"""The number of answers whose tokens are counted: those with the most characters."""
_MARKS = 8
"""An upper bound on the tokens that a tokenizer adds around a text."""
_READERS = (StageName.EFFORT, StageName.GRADIENTS, StageName.IFD, StageName.FINETUNE)


def require_readable(context: StageContext) -> None:
    """Check the chat template and the longest answers against each language model of the job.

    A tokenizer makes at most one token per byte of a text, so most jobs pass without loading a tokenizer.
    Models that are not on this machine are checked by their own stages, which may run on another machine.

    Raises:
        InputError: ``max_tokens_too_small``, ``no_chat_template``, ``chat_template_not_usable``,
            ``prompt_not_possible``.
    """
    uses = [*_uses(context)]
    if not uses:
        return
    dataset, samples = context.load_samples()
    if not len(samples):
        return
    prompt = context.config.prompt
    answers = longest_answers(dataset, samples, prompt)
    most = max(len(answer.encode()) for answer in answers) + _MARKS
    for use in uses:
        entry = language_model(use.model)
        most_tokens = min(use.max_tokens or most, (entry and entry.max_tokens) or most)
        if asks_for_chat(use, prompt) or most > most_tokens:
            sample = Prompter(dataset, samples, prompt).prompt(0)
            _try(use, [sample.answered(answer) for answer in answers])


def longest_answers(dataset: Dataset, samples: Samples, prompt: PromptConfig) -> list[str]:
    """Return the answers with the most characters, of samples that came with the data or of items."""
    if samples.given is not None:
        texts = samples.given.texts.field("output")
        return [str(texts[place]) for place in _longest(texts)]
    writer = AnswerWriter(dataset, prompt)
    return [writer.text(place).strip() for place in _longest(dataset.titles)]


def _longest(texts: pa.Array) -> list[int]:
    order = pc.array_sort_indices(pc.utf8_length(texts), order="descending")
    places: list[int] = order.slice(0, _LONGEST).to_pylist()
    return places


def _uses(context: StageContext) -> Iterator[ModelUse]:
    """Yield the different models, with their longest texts, of the stages that read answers."""
    seen = set[tuple[str, int | None]]()
    for name in _READERS:
        use = STAGES[name].language_model(context.config)
        if use is not None and (use.model, use.max_tokens) not in seen:
            seen.add((use.model, use.max_tokens))
            yield use


def _try(use: ModelUse, samples: list[PromptedSample]) -> None:
    from dealrec.language_models.loading import load_tokenizer
    from dealrec.language_models.tokens import Encoder, reads_chat

    try:
        tokenizer, longest = load_tokenizer(use.model)
    except InputError:
        return
    limit = min(number for number in (use.max_tokens, longest, 2**31) if number is not None)
    encoder = Encoder(tokenizer, limit, chat=reads_chat(use.model, tokenizer))
    encoder.encode(samples)
