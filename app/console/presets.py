"""Presets of the job form: a few changes to the defaults, under a name for their purpose."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dealrec.config import Difficulty, EmbeddingSource
from dealrec.config.scales import EVALUATION, FINETUNE, Scale
from dealrec.config.selection_training import default_selector
from dealrec.config.texts import DEFAULT


@dataclass(frozen=True)
class Preset:
    """A choice above the form; ``config`` overrides some defaults of ``PruneConfig``."""

    name: str
    title: str
    summary: str
    config: Mapping[str, Any]


MEASURED_BRIEFLY = {"users": 200, "ranking_users": 20}
"""An evaluation of minutes on a CPU. The API's default asks more users, which takes a CPU an hour."""

OF_TEXTS: Mapping[str, Any] = {
    "effort": {},
    "embedding": {"source": EmbeddingSource.LANGUAGE_MODEL.value},
    "selection": {"method": DEFAULT.value, "difficulty": Difficulty.EFFORT.value},
}
"""What the form begins with for texts without ids, whatever the preset."""

PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "default",
            "Default",
            "Scores samples by influence: minutes, without a GPU.",
            {},
        ),
        Preset(
            "effort",
            "With effort",
            "Adds effort: how hard the language model finds a sample.",
            {"effort": {}, "selection": {"method": "dealrec"}},
        ),
        Preset(
            "published",
            "As published",
            "The paper’s influence, effort and selection.",
            {"selection": {"method": "dealrec_paper"}},
        ),
        Preset(
            "adapter",
            "With an adapter",
            "The default, then LoRA training and an evaluation.",
            {"finetune": {}, "evaluation": MEASURED_BRIEFLY},
        ),
        Preset(
            "encoder",
            "With an encoder",
            "A small recommender, and the samples that help it most.",
            {
                "finetune": FINETUNE[Scale.CPU].model_dump(mode="json", exclude_defaults=True),
                "selection": {"method": default_selector(FINETUNE[Scale.CPU]).value},
                "evaluation": EVALUATION[Scale.CPU].model_dump(mode="json", exclude_defaults=True),
            },
        ),
    )
}
