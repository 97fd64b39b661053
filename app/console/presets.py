"""Starting points of the job form: a few changes to the defaults, under a name that says why."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Preset:
    """A choice above the form; ``config`` is a part of ``PruneConfig``, the rest stays default."""

    name: str
    title: str
    summary: str
    config: Mapping[str, Any]


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("default", "Default", "Influence and effort; every option as it is by default.", {}),
        Preset(
            "fast",
            "Without a language model",
            "Influence alone: minutes, also on a small machine.",
            {"effort": None, "selection": {"effort_weight": 0.0}},
        ),
        Preset(
            "published",
            "As published",
            "The paper's targets, parameters and selection.",
            {
                "influence": {"target": "train", "parameters": "attention_output"},
                "effort": {"parameters": "lora_b", "loss_on": "all"},
                "selection": {"method": "dealrec_paper"},
            },
        ),
        Preset(
            "adapter",
            "With an adapter",
            "The default, and LoRA training on the coreset.",
            {"finetune": {}},
        ),
    )
}
