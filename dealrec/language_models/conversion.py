"""GGUF files, dequantized once into safetensors folders that load in a second.

Reading a GGUF file through transformers takes some 20 s for 135 million parameters, and its
weights stay packed, which neither gradients nor LoRA want. The values of the blocks are exact in
float32, so that is what the cache keeps; a model in another type is cast from it on loading.
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
"""Part of the cached folder's name; raised when the conversion changes."""


def converted_gguf(gguf_file: Path, key: str, reporter: Reporter = SILENT) -> Path:
    """The cached safetensors folder of ``gguf_file``, made now if there is none.

    ``key`` names the content of the file (``smollm2-135m-0.1.2``): a cached folder of that name is
    taken without looking at the file.
    """
    target = cache_folder() / "language_models" / f"{key}-float32-v{CONVERSION_VERSION}"

    def write(folder: Path) -> None:
        reporter.event("language_model_conversion", model=key)
        _dequantize(gguf_file, folder)

    return make_folder_once(target, write)


def make_folder_once(target: Path, write: Callable[[Path], None]) -> Path:
    """``target``, filled by ``write`` unless it is there already.

    ``write`` fills a temporary folder beside ``target``, which is renamed when complete, so a
    folder under its final name is never a half one. Of processes that want the same folder at the
    same time one writes and the others wait; a lock dies with its process.
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
    # The dequantizing loop draws a bar of its own, which no setting of transformers turns off.
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
