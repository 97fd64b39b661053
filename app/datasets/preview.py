"""The preview of a prompt: some samples of a data set as a language model reads them."""

import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from pydantic import ValidationError

from dealrec.app.datasets.schemas import PreviewedSample, PromptPreview, PromptPreviewCreate, Turn
from dealrec.app.kit.programs import Program
from dealrec.config.catalogue import catalogue
from dealrec.config.language_models import unknown_model
from dealrec.config.prompt import PromptFormat
from dealrec.data.dataset import Dataset
from dealrec.data.preview import KeyedSample, ReadAnswer, ReadRequest, ReadText, previewed
from dealrec.data.samples import build_samples
from dealrec.errors import FieldError, InputError

_COUNTING = Program("dealrec.language_models.preview", seconds=120.0)
_ELSEWHERE = frozenset({"model_not_available"})
"""Faults of this server, with which a preview shows the words alone."""


def prompt_preview(folder: Path, body: PromptPreviewCreate, tenant_id: str) -> PromptPreview:
    """Make the preview for the stored data set in ``folder``.

    Raises:
        InputError: ``unknown_model``, ``no_samples``, ``prompt_not_possible``, ``max_tokens_too_small``,
            ``no_chat_template``, ``chat_template_not_usable``.
    """
    allowed = [name for name, entry in catalogue().items() if entry.allows(tenant_id)]
    if body.model not in allowed:
        raise unknown_model(body.model, allowed, "model")
    dataset = Dataset.load(folder)
    samples = build_samples(dataset, body.sampling, body.min_history)
    shown = previewed(dataset, samples, body.prompt, body.count)
    answer = _read(shown, body)
    if isinstance(answer, str):
        return _preview(body, shown, body.prompt.format, [None] * len(shown), answer)
    return _preview(body, shown, answer.format, answer.texts, None)


def _preview(
    body: PromptPreviewCreate,
    shown: Sequence[KeyedSample],
    format: PromptFormat,  # noqa: A002
    texts: Sequence[ReadText | None],
    not_counted: str | None,
) -> PromptPreview:
    samples = [
        PreviewedSample(
            sample_key=one.key,
            messages=[Turn(role=turn.role, content=turn.content) for turn in one.sample.messages],
            read=text,
        )
        for one, text in zip(shown, texts, strict=True)
    ]
    return PromptPreview(model=body.model, format=format, samples=samples, not_counted=not_counted)


def _read(shown: Sequence[KeyedSample], body: PromptPreviewCreate) -> ReadAnswer | str:
    """Tokenize in a process that may load the libraries; a text says why that was not possible."""
    if find_spec("transformers") is None:
        return (
            "Tokens are not counted, because the libraries for language models are installed only on the "
            "workers."
        )
    request = ReadRequest(
        model=body.model, max_tokens=body.max_tokens, samples=[one.sample for one in shown]
    )
    try:
        answer = ReadAnswer.model_validate_json(_COUNTING.answer(request.model_dump_json()))
    except subprocess.TimeoutExpired:
        return (
            f"Tokens are not counted, because counting took longer than {_COUNTING.seconds:.0f} s."
        )
    except ValidationError:
        return "Tokens are not counted, because the program that counts them failed on this server."
    problem = answer.problem
    if problem is None:
        return answer
    if problem["code"] in _ELSEWHERE:
        return str(problem["detail"])
    raise InputError(
        str(problem["detail"]),
        code=str(problem["code"]),
        title=str(problem["title"]),
        errors=[FieldError("prompt", str(problem["detail"]))],
    )
