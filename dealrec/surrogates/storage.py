"""Trained surrogates on disk: safetensors for the parameters, JSON for everything else."""

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file, save_file

from dealrec.config import SurrogateConfig
from dealrec.surrogates.interface import Surrogate
from dealrec.surrogates.registry import make_surrogate

_PARAMETERS = "model.safetensors"
FACTS = "surrogate.json"


@dataclass(frozen=True)
class TrainedSurrogate:
    """The best checkpoint of a training run, with its metrics and its history."""

    model: Surrogate
    """The model in evaluation mode, in float32."""
    config: SurrogateConfig
    metrics: dict[str, float]
    """Ranking metrics ``valid_*`` and ``test_*`` of the checkpoint, each with its standard error over
    users (``…_se``), the number of ``epochs`` trained, ``best_epoch`` (from 1) and ``seconds``; where it
    learned from a part of the data, also the numbers ``trained_users``, ``…_items``, ``…_interactions``."""
    history: list[dict[str, float]]
    """One row per epoch: ``epoch``, ``loss`` and, with a validation split, ``valid_ndcg@10``."""

    def save(self, folder: Path) -> None:
        """Write ``model.safetensors`` and ``surrogate.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {name: value.contiguous().cpu() for name, value in self.model.state_dict().items()}
        save_file(state, folder / _PARAMETERS)
        facts = {
            "n_items": self.model.n_items,
            "config": self.config.model_dump(mode="json"),
            "metrics": self.metrics,
            "history": self.history,
        }
        (folder / FACTS).write_text(json.dumps(facts, indent=2))


def load_surrogate(folder: Path) -> TrainedSurrogate:
    """Read a surrogate that :meth:`TrainedSurrogate.save` wrote, onto the CPU."""
    facts = json.loads((folder / FACTS).read_text())
    config = SurrogateConfig.parse(facts["config"], location="surrogate")
    model = make_surrogate(facts["n_items"], config)
    model.load_state_dict(load_file(folder / _PARAMETERS))
    return TrainedSurrogate(model.eval(), config, facts["metrics"], facts["history"])
