"""The language model with an adapter merged into its weights, made in a process that may load torch."""

import subprocess
from importlib.util import find_spec
from pathlib import Path

from pydantic import ValidationError

from dealrec.app.kit.errors import Conflict
from dealrec.app.kit.programs import Program
from dealrec.app.tables.adapters import AdapterRow
from dealrec.config import FinetuneConfig
from dealrec.config.model_merging import MergeAnswer, MergeRequest

_MERGING = Program("dealrec.language_models.merging", seconds=1800.0)
"""Merging keeps the whole model in memory, so only one merge runs at a time."""


def merge(row: AdapterRow, adapter: Path, out: Path) -> None:
    """Merge the adapter in the folder ``adapter`` into its base, and fill the new folder ``out``.

    Raises :class:`Conflict`: ``model_not_available`` where the model or the libraries are not on this
    machine, ``adapter_not_usable`` for an encoder's, ``merge_failed``.
    """
    if find_spec("torch") is None or find_spec("peft") is None:
        raise Conflict(
            "The libraries for language models are not installed on this server. Download the adapter "
            "and merge it with `dealrec merge`.",
            code="model_not_available",
        )
    config = FinetuneConfig.model_validate(row.config)
    request = MergeRequest(adapter=adapter, model=config.model, dtype=config.dtype, out=out)
    try:
        answer = MergeAnswer.model_validate_json(_MERGING.answer(request.model_dump_json()))
    except (subprocess.TimeoutExpired, ValidationError):
        raise Conflict(
            "Merging failed on this server, or took too long. Download the adapter and merge it with "
            "`dealrec merge`.",
            code="merge_failed",
        ) from None
    if answer.problem is not None:
        raise Conflict(str(answer.problem["detail"]), code=str(answer.problem["code"]))
