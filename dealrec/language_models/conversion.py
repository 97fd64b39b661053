"""Dequantizes GGUF files once into cached safetensors folders, which load in a second.

Transformers takes some 20 s to read a GGUF file of 135 million parameters and keeps the weights
packed, so that neither gradients nor LoRA work on them. float32 holds the dequantized values
exactly, so the cache keeps float32; loading casts them to any other type.
"""

import io
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path

from dealrec.cache import cache_folder
from dealrec.disk import remove_unfinished, written_whole
from dealrec.language_models.quiet import quiet_transformers
from dealrec.progress import SILENT, Reporter

CONVERSION_VERSION = 1
"""The version in the cached folder's name. Raise it when the conversion changes."""


def converted_gguf(gguf_file: Path, key: str, reporter: Reporter = SILENT) -> Path:
    """Return the cached safetensors folder of ``gguf_file``, and make it first if it is missing.

    ``key`` identifies the content of the file (``smollm2-135m-0.1.2``). If the cache has a folder
    under that key, the file is not read.
    """
    target = cache_folder() / "language_models" / f"{key}-float32-v{CONVERSION_VERSION}"

    def write(folder: Path) -> None:
        reporter.event("language_model_conversion", model=key)
        _dequantize(gguf_file, folder)

    return make_folder_once(target, write)


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
