"""The estimate of a training's memory, beside what autograd holds for the backward pass."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from dealrec.config.finetune import FinetuneConfig
from dealrec.config.model_checks import model_facts
from dealrec.config.model_memory import working_bytes
from dealrec.config.model_use import trained_model
from dealrec.finetune.trainer import LoraTraining
from dealrec.language_models.loading import load_language_model
from dealrec.model_check import check_samples
from dealrec.recommenders.interface import Recommender
from dealrec.recommenders.registry import make_recommender

COUNT = 2
WAYS: dict[str, dict[str, object]] = {
    "plain": {},
    "all tokens": {"loss_on": "all"},
    "checkpointed": {"activation_checkpointing": True},
}


def held_bytes(recommender: Recommender, training: LoraTraining) -> int:
    """The bytes of all tensors, but the model's own, that the graph of one batch keeps."""
    own = {weight.untyped_storage().data_ptr() for weight in training.model.parameters()}
    held: dict[int, int] = {}

    def kept(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    objective = recommender.objective(check_samples(COUNT))
    training.model.train()
    with torch.autograd.graph.saved_tensors_hooks(kept, lambda tensor: tensor):
        loss = objective.loss_sum(range(COUNT))
    del loss
    return sum(held.values())


@pytest.fixture(scope="module")
def measured() -> dict[str, tuple[int, int]]:
    """What SmolLM2-135M holds and what the estimate says beside its weights, for each way."""
    facts, found = model_facts("smollm2-135m"), {}
    assert facts is not None
    loaded = load_language_model("smollm2-135m", dtype="float32", device="cpu")
    for name, options in WAYS.items():
        config = FinetuneConfig.parse({"batch_size": COUNT, "lora": {"dropout": 0.05}, **options})
        recommender = make_recommender(loaded, config)
        training = LoraTraining(recommender, check_samples(COUNT), config)
        lengths: Sequence[int] = recommender.objective(check_samples(COUNT)).lengths
        use = replace(trained_model(config), tokens=COUNT * max(lengths))
        nothing = working_bytes(facts, replace(use, tokens=1))
        found[name] = (held_bytes(recommender, training), working_bytes(facts, use) - nothing)
        training.detach()
    return found


@pytest.mark.parametrize("name", WAYS)
def test_the_estimate_is_near_what_is_held(measured: dict[str, tuple[int, int]], name: str) -> None:
    held, estimated = measured[name]
    most = 4.0 if name == "checkpointed" else 1.5
    assert 0.8 < estimated / held < most


def test_checkpointing_holds_a_part(measured: dict[str, tuple[int, int]]) -> None:
    assert measured["checkpointed"][0] < measured["plain"][0] / 3
