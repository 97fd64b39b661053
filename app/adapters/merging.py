"""The language model with an adapter merged into its weights, made in a process that may load torch."""

import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

from pydantic import ValidationError

from dealrec.app.kit.errors import Conflict
from dealrec.app.tables.adapters import AdapterRow
from dealrec.config import FinetuneConfig
from dealrec.config.model_merging import MergeAnswer, MergeRequest
from dealrec.config.runtime import yielding_environment

_SECONDS = 1800.0
_ONE_AT_A_TIME = threading.Lock()
"""A merge holds the whole model in memory."""


def merge(row: AdapterRow, adapter: Path, out: Path) -> None:
    """Merge the adapter in the folder ``adapter`` into its base, and fill the new folder ``out``.

    Raises :class:`Conflict`: ``model_not_available`` where the model or the libraries are not on this
    machine, ``adapter_not_usable`` for an encoder's, ``merge_failed``.
    """
    if find_spec("torch") is None or find_spec("peft") is None:
        raise Conflict(
            "This server has no libraries of language models. Download the adapter, and merge it with "
            "`dealrec merge`.",
            code="model_not_available",
        )
    config = FinetuneConfig.model_validate(row.config)
    request = MergeRequest(adapter=adapter, model=config.model, dtype=config.dtype, out=out)
    try:
        answer = MergeAnswer.model_validate_json(_run(request.model_dump_json().encode()))
    except (subprocess.TimeoutExpired, ValidationError):
        raise Conflict(
            "The program that merges has failed on this server, or took too long. Download the adapter, and "
            "merge it with `dealrec merge`.",
            code="merge_failed",
        ) from None
    if answer.problem is not None:
        raise Conflict(str(answer.problem["detail"]), code=str(answer.problem["code"]))


def _run(request: bytes) -> bytes:
    """Run the program; raises :class:`subprocess.TimeoutExpired`."""
    with _ONE_AT_A_TIME:
        return subprocess.run(
            [sys.executable, "-m", "dealrec.language_models.merging"],
            input=request,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            env=yielding_environment(),
        ).stdout
