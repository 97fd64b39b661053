"""A language model with an adapter in its weights, as a folder that needs no peft.

As a program it reads a :class:`~dealrec.config.model_merging.MergeRequest` from standard input and writes a
:class:`~dealrec.config.model_merging.MergeAnswer`, for the service, which loads no language models itself.
"""

import json
import sys
from pathlib import Path
from typing import Literal

from dealrec.config.language_models import language_model, public_name
from dealrec.config.model_merging import MergeAnswer, MergeRequest
from dealrec.disk import file_sha256, written_whole
from dealrec.errors import DealrecError, InputError
from dealrec.language_models.adapters import (
    HEAD,
    WEIGHTS,
    adapter_not_usable,
    attach_adapter,
    require_adapter,
    require_base,
)
from dealrec.language_models.loading import load_language_model
from dealrec.language_models.quiet import quiet_transformers
from dealrec.progress import SILENT, Reporter


def merge_adapter(
    adapter: str | Path,
    *,
    model: str,
    out: str | Path,
    dtype: Literal["float32", "bfloat16"] = "float32",
    reporter: Reporter = SILENT,
) -> Path:
    """Write the language model with the adapter merged into its weights: safetensors and the tokenizer.

    The base is loaded unquantized, also where the adapter was trained on quantized weights.

    Args:
        adapter: A PEFT folder.
        model: The model that it was trained on, by its name in the catalogue or as a path.
        out: The folder, which must not exist, or be empty. It appears whole or not at all.
        dtype: The number type of the weights.
        reporter: Told of the conversion of a GGUF file.

    Raises:
        InputError: ``adapter_not_usable``, ``not_empty``, ``unknown_model``, ``model_not_available``.
    """
    source, target = Path(adapter).expanduser(), Path(out).expanduser()
    require_adapter(source)
    require_base(source, model)
    if (source / HEAD).is_file():
        raise adapter_not_usable(
            source,
            "it belongs to an encoder; use `dealrec export`, which writes a folder with the projection",
        )
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise InputError(
            f"{target} already exists. Give a folder that is new or empty.", code="not_empty"
        )
    loaded = load_language_model(model, dtype=dtype, device="cpu", reporter=reporter)
    adapted = attach_adapter(loaded, source)
    with quiet_transformers(), written_whole(target) as unfinished:
        merged = adapted.merge_and_unload()
        merged.save_pretrained(unfinished)
        loaded.tokenizer.save_pretrained(unfinished)
        _without_paths(unfinished)
        (unfinished / "README.md").write_text(_card(source, model, dtype), encoding="utf-8")
    return target


def _without_paths(folder: Path) -> None:
    """Take out of the configurations where the base lay on this machine."""
    for path in folder.glob("*.json"):
        written = json.loads(path.read_text(encoding="utf-8"))
        private = {"_name_or_path", "name_or_path"} & written.keys()
        if path.name != "tokenizer.json" and private:
            kept = {name: value for name, value in written.items() if name not in private}
            path.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def _card(adapter: Path, model: str, dtype: str) -> str:
    entry = language_model(model)
    base = public_name(model) if entry is not None else Path(model).name
    licence = (entry and entry.licence) or "the licence of the base model"
    return (
        f"# {base} with a merged adapter\n\n- Base model: {base}\n- Adapter: SHA-256 of its weights "
        f"{file_sha256(adapter / WEIGHTS)}\n- Number type: {dtype}\n- Licence: {licence}\n"
    )


def answered(request: bytes) -> MergeAnswer:
    """Carry out the request in JSON; what goes wrong is in the answer."""
    asked = MergeRequest.model_validate_json(request)
    try:
        merge_adapter(asked.adapter, model=asked.model, out=asked.out, dtype=asked.dtype)
    except DealrecError as error:
        return MergeAnswer(problem=error.to_problem())
    return MergeAnswer()


if __name__ == "__main__":
    sys.stdout.write(answered(sys.stdin.buffer.read()).model_dump_json())
