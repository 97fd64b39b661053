"""An encoder as a folder that ``sentence-transformers`` loads: one model for histories and titles."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from dealrec.config.finetune import FinetuneConfig, HistoryVector, Pooling
from dealrec.config.recommenders import ENCODER
from dealrec.disk import written_whole
from dealrec.language_models.adapters import (
    HEAD,
    adapter_not_usable,
    require_adapter,
    with_adapter,
)
from dealrec.language_models.loading import LoadedLanguageModel, load_language_model
from dealrec.language_models.quiet import quiet_transformers
from dealrec.progress import SILENT, Reporter

_MODULES = ("Transformer", "Pooling", "Dense", "Normalize")
_FOLDERS = ("", "1_Pooling", "2_Dense", "3_Normalize")


def export_encoder(
    adapter: Path, *, out: Path, model: str | None = None, reporter: Reporter = SILENT
) -> None:
    """Write ``out`` as a folder for ``SentenceTransformer(...)``, whole or not at all.

    The adapter is merged into the language model. Its vectors are those of the recommender: the last or
    the mean state of a text, the projection, and length 1.

    Args:
        adapter: The folder of a trained ``encoder``.
        out: It must not exist, or be an empty folder.
        model: Where the language model is, if it is not in the catalogue: a folder, a GGUF file or a
            hub id. Default: the name that the adapter has.
        reporter: Gets an event before a GGUF file is converted.

    Raises:
        InputError: ``adapter_not_usable`` if the folder is no adapter of an encoder; ``unknown_model``
            and ``model_not_available``.
    """
    require_adapter(adapter)
    config, instruction = read_settings(adapter)
    loaded = load_language_model(
        model or config.model, dtype="float32", device="cpu", reporter=reporter
    )
    loaded = with_adapter(loaded, adapter)
    projection = load_file(adapter / HEAD)
    weights = {f"linear.{name}": value.contiguous() for name, value in projection.items()}
    tokenizer = loaded.tokenizer
    tokenizer.padding_side = "right"
    with written_whole(out) as folder:
        for name in _FOLDERS[1:]:
            (folder / name).mkdir(parents=True)
        with quiet_transformers():
            loaded.model.get_decoder().save_pretrained(str(folder))
            tokenizer.save_pretrained(str(folder))
        save_file(weights, folder / "2_Dense" / "model.safetensors", {"format": "pt"})
        for name, content in _configurations(loaded, config, instruction, weights).items():
            (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        (folder / "README.md").write_text(_card(loaded, config, instruction), encoding="utf-8")


def read_settings(adapter: Path) -> tuple[FinetuneConfig, str]:
    """Read how the encoder in the folder ``adapter`` was trained, and the instruction of its samples.

    Raises:
        InputError: ``adapter_not_usable`` if there is no encoder in the folder.
    """
    try:
        with safe_open(str(adapter / HEAD), "pt") as file:
            facts = file.metadata()
        config = FinetuneConfig.model_validate(json.loads(facts["finetune"]))
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise adapter_not_usable(adapter, f"it is not an encoder: it has no {HEAD}") from error
    if config.recommender != ENCODER:
        raise adapter_not_usable(
            adapter,
            f"it was trained as the recommender `{config.recommender}`, not as an `encoder`",
        )
    if "own_words" in facts and config.encoder.history is HistoryVector.PROMPT:
        reason = (
            "its prompt is a template or uses a chat template, which `sentence-transformers` cannot "
            "reproduce"
        )
        raise adapter_not_usable(adapter, reason)
    return config, facts["instruction"]


def _configurations(
    loaded: LoadedLanguageModel, config: FinetuneConfig, instruction: str, weights: dict[str, Any]
) -> dict[str, Any]:
    """The JSON files that all versions of the library since 2 read, by their paths in the folder."""
    outputs, inputs = weights["linear.weight"].shape
    longest = loaded.longest or config.max_tokens
    modules = zip(_MODULES, _FOLDERS, strict=True)
    return {
        "modules.json": [
            {
                "idx": place,
                "name": str(place),
                "path": path,
                "type": f"sentence_transformers.models.{name}",
            }
            for place, (name, path) in enumerate(modules)
        ],
        "sentence_bert_config.json": {
            "max_seq_length": min(config.max_tokens, longest),
            "do_lower_case": False,
        },
        "config_sentence_transformers.json": {
            "prompts": {"query": f"{instruction}\n", "document": ""},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
        "1_Pooling/config.json": {
            "word_embedding_dimension": inputs,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": config.encoder.pooling is Pooling.MEAN,
            "pooling_mode_lasttoken": config.encoder.pooling is Pooling.LAST,
            "include_prompt": True,
        },
        "2_Dense/config.json": {
            "in_features": inputs,
            "out_features": outputs,
            "bias": True,
            "activation_function": "torch.nn.modules.linear.Identity",
        },
    }


def _card(loaded: LoadedLanguageModel, config: FinetuneConfig, instruction: str) -> str:
    return f"""---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
base_model: {json.dumps(loaded.name)}
tags:
- sentence-transformers
- recommendation
---

# Recommender made from {loaded.name}

It places a history close to the titles that are chosen next: the higher the cosine, the likelier the title.

{_use(config, instruction)}"""


def _use(config: FinetuneConfig, instruction: str) -> str:
    if config.encoder.history is HistoryVector.TITLES:
        return _OF_TITLES.format(decay=config.encoder.decay)
    return _OF_PROMPTS.format(instruction=instruction)


_OF_TITLES = """\
```python
import numpy as np
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/to/this/folder")
titles = ["Alien", "Brazil", "Dune"]
catalogue = model.encode([f'"{{title}}"' for title in titles])
chosen = model.encode([f'"{{title}}"' for title in ["Blade Runner", "Solaris"]])
weights = {decay} ** np.arange(len(chosen))[::-1]
user = weights @ chosen
scores = model.similarity(user[None], catalogue)
```

Titles stand in double quotes, and quotes inside a title are single. The vector of a history is the sum
of the vectors of its titles, oldest first; the newest weighs 1, and each other one {decay} times the one
after it.
"""

_OF_PROMPTS = """\
```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/to/this/folder")
titles = ["Alien", "Brazil", "Dune"]
catalogue = model.encode([f'"{{title}}"' for title in titles], prompt_name="document")
history = '"Blade Runner", "Solaris"\\nNext:'
user = model.encode(history, prompt_name="query")
scores = model.similarity(user, catalogue)
```

Titles stand in double quotes, and quotes inside a title are single. The prompt `query` is the
instruction that the model was trained with:

```
{instruction}
```
"""
