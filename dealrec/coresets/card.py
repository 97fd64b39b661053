"""The page of an exported folder; that of a Hugging Face data set is its card."""

import json
from collections.abc import Sequence

from dealrec.coresets.formats import CoresetFormat
from dealrec.coresets.trainers import COMMANDS, TRL, TRL_SCRIPT

_SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
_NAMES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M")


def page(
    title: str,
    format: CoresetFormat,  # noqa: A002
    samples: int,
    files: Sequence[str],
    notes: Sequence[str],
) -> str:
    """Make the Markdown.

    Args:
        title: The heading.
        format: The format of the data.
        samples: Their number.
        files: The names of the data and of the configurations.
        notes: Sentences on what the configurations cannot say.
    """
    commands = dict(COMMANDS)
    if TRL_SCRIPT in files:
        commands[TRL] = f"python {TRL_SCRIPT}"
    listed = "\n".join(commands[name] for name in commands if name in files)
    told = "\n".join(f"- {note}" for note in notes)
    return f"""{_front_matter(title, samples) if format.is_folder else ""}# {title}

{samples:,} samples in the format `{format}`, selected by DEALRec. A language model learns the
           last turn, the completion or the output, and reads the rest.

## Training

Each of these commands trains a LoRA adapter with the settings of DEALRec's own fine-tuning, and writes it
to the folder `adapter`. Run one of them in this folder:

```sh
{listed}
```

{told}
"""


def _front_matter(title: str, samples: int) -> str:
    size = _NAMES[sum(samples >= limit for limit in _SIZES)]
    return f"""---
pretty_name: {json.dumps(title, ensure_ascii=False)}
task_categories:
- text-generation
tags:
- recommendation
- dealrec
size_categories:
- {size}
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*.parquet
---

"""
