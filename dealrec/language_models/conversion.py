"""Dequantizes GGUF files once into cached safetensors folders, which load in a second.

Transformers takes some 20 s to read a GGUF file of 135 million parameters and keeps the weights
packed, so that neither gradients nor LoRA work on them. float32 holds the dequantized values
exactly, so the cache keeps float32; loading casts them to any other type.
"""

import io
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

from dealrec.cache import cache_folder
from dealrec.config.model_files import UnusableFiles, gguf_facts
from dealrec.disk import remove_unfinished, written_whole
from dealrec.language_models.quiet import quiet_transformers
from dealrec.progress import SILENT, Reporter

CONVERSION_VERSION = 1
"""The version in the cached folder's name. Raise it when the conversion changes."""


def converted_gguf(parts: Sequence[Path], key: str, reporter: Reporter = SILENT) -> Path:
    """Return the cached safetensors folder of a GGUF file, and make it first if it is missing.

    Args:
        parts: The file, or the parts that it was cut into.
        key: It identifies the content (``smollm2-135m-0.1.2``). If the cache has a folder under that key,
            the file is not read.
        reporter: Receives an event before the file is converted, which takes many seconds.

    Raises:
        UnusableFiles: It is no GGUF file, or it ends too early, or transformers cannot read it.
    """
    target = conversion_folder(key)

    def write(folder: Path) -> None:
        facts = gguf_facts(parts)
        reporter.event("language_model_conversion", model=key)
        with _in_one(parts, folder) as gguf_file:
            try:
                _dequantize(gguf_file, folder)
            except (OSError, ValueError, IndexError, KeyError, TypeError, RuntimeError) as error:
                raise UnusableFiles(
                    f"{parts[0].name} of the family `{facts.family}` cannot be read: it is truncated, "
                    "or transformers cannot read GGUF files of this family"
                ) from error

    return make_folder_once(target, write)


def conversion_folder(key: str) -> Path:
    """Return the folder of a converted GGUF file, which need not exist."""
    return cache_folder() / "language_models" / f"{key}-float32-v{CONVERSION_VERSION}"


@contextmanager
def _in_one(parts: Sequence[Path], folder: Path) -> Iterator[Path]:
    """Give the file; one in parts is put together in ``folder`` for the time of the block."""
    if len(parts) == 1:
        yield parts[0]
        return
    whole = folder / "whole.gguf"
    try:
        with whole.open("wb") as out:
            for part in parts:
                with part.open("rb") as piece:
                    shutil.copyfileobj(piece, out, 16 * 2**20)
        yield whole
    finally:
        whole.unlink(missing_ok=True)


def make_folder_once(target: Path, write: Callable[[Path], None]) -> Path:
    """Return ``target``; fill it with ``write`` first if it does not exist.

    ``write`` fills a temporary folder that is renamed when it is complete, so ``target`` is never
    half full. If several processes want the same folder, one writes and the others wait. The lock
    is released when its process ends.
    """
    if target.is_dir():
        return target
    from filelock import FileLock

    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(target.name + ".lock")):
        if target.is_dir():
            return target
        remove_unfinished(target)
        with written_whole(target) as folder:
            folder.mkdir()
            write(folder)
    return target


def _dequantize(gguf_file: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source, name = str(gguf_file.parent), gguf_file.name
    # The dequantizing loop draws a progress bar that no setting of transformers turns off.
    with quiet_transformers(), redirect_stderr(io.StringIO()):
        tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=name, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(
            source,
            gguf_file=name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.float32,
            local_files_only=True,
        )
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
