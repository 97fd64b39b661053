"""Every surrogate goes on from an earlier one when items have come to the data, or says that it does not."""

import pyarrow as pa
import pytest
import torch

from dealrec.config import SurrogateConfig
from dealrec.config.surrogate import SURROGATES
from dealrec.errors import InputError
from dealrec.surrogates.growing import EarlierSurrogate
from dealrec.surrogates.storage import TrainedSurrogate
from tests.dealrec.surrogates.data import prepared, ring_dataset

OPTIONS = {"hidden_size": 8, "max_length": 6}


def earlier(name):
    torch.manual_seed(0)
    config = SurrogateConfig(model=name, **OPTIONS)
    model = prepared(name, ring_dataset(users=8, items=9), **OPTIONS)
    return EarlierSurrogate(
        TrainedSurrogate(model, config, {}, []), pa.array([f"i{n}" for n in range(9)])
    )


@pytest.mark.parametrize("name", [name for name in SURROGATES if name != "content"])
def test_known_items_keep_their_vectors_and_the_graphs_are_those_of_the_new_data(name):
    old, new = earlier(name), prepared(name, ring_dataset(users=12, items=11), **OPTIONS)
    fresh = {key: value.clone() for key, value in new.named_parameters()}
    kept = {key: value.clone() for key, value in new.named_buffers()}
    old.copy_into(new, pa.array([f"i{n}" for n in (10, *range(10))]))  # all places move by one
    table, before = new.item_embedding.weight, old.trained.model.item_embedding.weight
    assert torch.equal(table[1:10], before[:9])
    assert torch.equal(table[[0, 10]], fresh["item_embedding.weight"][[0, 10]])
    assert all(torch.equal(value, kept[key]) for key, value in new.named_buffers())


def test_a_surrogate_whose_inputs_turn_with_new_items_does_not_go_on():
    new = prepared("content", ring_dataset(users=12, items=11), **OPTIONS)
    with pytest.raises(InputError, match="content") as error:
        earlier("content").copy_into(new, pa.array([f"i{n}" for n in range(11)]))
    assert error.value.code == "continuation_not_possible"
