import pytest
import torch

from dealrec.config import SurrogateConfig
from dealrec.surrogates.registry import make_surrogate

PADDING, MASK = 20, 21


def bert4rec(**options):
    torch.manual_seed(0)
    config = SurrogateConfig(model="bert4rec", hidden_size=16, max_length=8, **options)
    return make_surrogate(20, config).double().eval()


def test_a_state_is_that_of_a_mask_appended_to_the_items_so_far():
    model = bert4rec()
    states = model(torch.tensor([[3, 1, 4]]))[0]
    for place, prefix in enumerate([[3], [3, 1], [3, 1, 4]]):
        hidden = model.blocks.through(*model._embed(torch.tensor([[*prefix, MASK]])))
        torch.testing.assert_close(states[place], hidden[0, -1], rtol=1e-12, atol=1e-12)


def test_the_longest_sequence_still_has_room_for_the_mask():
    model = bert4rec()
    items = torch.arange(8)[None]
    assert model(items).shape == (1, 8, 16)
    assert model.training_states(torch.arange(9)[None])[0].shape[1] == 16


def test_training_masks_items_at_its_rate_and_the_last_one_where_none_was_drawn():
    model = bert4rec(mask_rate=0.3)
    lengths = torch.randint(2, 9, (4000,), generator=torch.Generator().manual_seed(0))
    places = torch.arange(8)
    sequences = torch.where(places < lengths[:, None], places.expand(4000, -1), PADDING)
    torch.manual_seed(1)
    targets = model.training_states(sequences).targets  # items are their own places
    none = 0.7 ** lengths.double()
    assert len(targets) == pytest.approx(float((0.3 * lengths + none).sum()), rel=0.02)
    first = 4000 * 0.3
    assert (targets == 0).sum().item() == pytest.approx(first, rel=0.08)


def test_a_rate_of_almost_nothing_trains_on_last_items_alone():
    model = bert4rec(mask_rate=1e-9)
    sequences = torch.tensor([[1, 2, 3, 20], [4, 5, 6, 7]])
    states, targets, _ = model.training_states(sequences)
    assert targets.tolist() == [3, 7]
    asked = model.states_at(sequences, torch.tensor([0, 1]), torch.tensor([1, 2]))
    torch.testing.assert_close(states, asked, rtol=1e-12, atol=1e-12)


def test_the_mask_is_never_recommended():
    assert bert4rec().scores(torch.tensor([[1, 2]]), torch.tensor([2])).shape == (1, 20)
