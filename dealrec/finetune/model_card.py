"""The README of an adapter, which says what it is, what it was trained on and how to load it."""

import json
from collections.abc import Mapping
from typing import Any

from dealrec.config.finetune import FinetuneConfig
from dealrec.config.language_models import language_model
from dealrec.config.recommenders import ENCODER
from dealrec.language_models.loading import LoadedLanguageModel

_EXPORT = """
The projection of histories and titles is in `projection.safetensors`. This makes a folder that
`sentence-transformers` loads:

```sh
dealrec export path/to/this/folder --out model
```
"""


def model_card(
    loaded: LoadedLanguageModel,
    config: FinetuneConfig,
    metrics: Mapping[str, float],
    facts: Mapping[str, Any],
) -> str:
    """Make the Markdown, with the front matter that model hubs read.

    ``facts`` are the caller's facts about the data by name (hashes of data set and coreset, sizes, …).
    """
    entry = language_model(loaded.source)
    licence = (entry and entry.licence) or "other"
    trained = "\n".join(f"- {name}: {_plain(value)}" for name, value in facts.items())
    measured = "\n".join(f"- {name}: {value:.6g}" for name, value in metrics.items())
    said = config.entry.summary[:1].lower() + config.entry.summary[1:]
    settings = json.dumps(config.identity() | {"model": loaded.name}, indent=2)
    return f"""---
base_model: {json.dumps(loaded.base)}
library_name: peft
license: {licence}
tags:
- lora
- recommendation
---

# LoRA adapter for {loaded.name}

This is a low-rank adapter (LoRA) for the language model `{loaded.name}`, revision `{loaded.revision}`.
It was trained as the recommender `{config.recommender}`, which {said}
The licence of the language model is `{licence}`.

## Data

The adapter was trained on a coreset, which is a selection of the samples of a data set.

{trained or "- No facts about the data were recorded."}

## Training

These figures were measured during the training:

{measured}

These are all options of the training:

```json
{settings}
```

## Use

```python
from dealrec.language_models import load_language_model
from peft import PeftModel

base = load_language_model({loaded.source!r}, dtype="float32", device="cpu")
model = PeftModel.from_pretrained(base.model, "path/to/this/folder")
```
{_EXPORT if config.recommender == ENCODER else ""}"""


def _plain(value: Any) -> str:
    if isinstance(value, str | int | float):
        return str(value).replace("\n", " ")
    return f"`{json.dumps(value, sort_keys=True)}`"
