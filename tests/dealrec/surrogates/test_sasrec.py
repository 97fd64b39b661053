import torch

from dealrec.config import InfluenceParameters, SurrogateConfig
from dealrec.surrogates.interface import softmax_losses
from dealrec.surrogates.registry import make_surrogate

CONFIG = SurrogateConfig(hidden_size=16, max_length=8)


def model():
    torch.manual_seed(0)
    return make_surrogate(20, CONFIG).double().eval()


def test_neither_padding_nor_other_rows_nor_later_items_change_a_state():
    sasrec = model()
    alone = sasrec(torch.tensor([[3, 1, 4]]))
    padded = sasrec(torch.tensor([[9, 9, 9, 9, 9], [3, 1, 4, 20, 20]]))[1:, :3]
    longer = sasrec(torch.tensor([[3, 1, 4, 7]]))[:, :3]
    torch.testing.assert_close(padded, alone, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(longer, alone, rtol=1e-12, atol=1e-12)


def test_the_two_halves_around_the_attention_output_make_the_whole():
    sasrec = model()
    sequences = torch.tensor([[3, 1, 4], [1, 5, 20]])
    entering, residual = sasrec.before_attention_output(sequences)
    matrix = sasrec.get_parameter(sasrec.attention_output_name())
    states = sasrec.after_attention_output(entering @ matrix.T, residual)
    torch.testing.assert_close(states, sasrec(sequences))


def test_sample_losses_are_the_weighted_sums_of_position_losses():
    sasrec = model()
    sequences = torch.tensor([[3, 1, 4], [1, 5, 20]])
    targets = torch.tensor([[1, 4, 2], [5, 6, 0]])
    weights = torch.tensor([[0.0, 0.5, 1.0], [0.25, 0.75, 0.0]], dtype=torch.float64)
    losses = sasrec.sample_losses(sequences, targets, weights)
    states, items = sasrec(sequences), sasrec.item_vectors()
    for row in range(2):
        each = softmax_losses(states[row], items, targets[row])
        torch.testing.assert_close(losses[row], (each * weights[row]).sum())


def test_every_parameter_set_names_parameters_that_exist():
    sasrec = model()
    names = {name for name, _ in sasrec.named_parameters()}
    sets = sasrec.parameter_sets()
    assert set(sets) == set(InfluenceParameters)
    assert all(set(members) <= names and members for members in sets.values())
    assert set(sets[InfluenceParameters.ALL]) == names
