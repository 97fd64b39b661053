"""Every surrogate keeps these promises: one interface with no exceptions."""

import pytest
import torch
from torch.func import functional_call, grad, jvp

from dealrec.config import InfluenceParameters
from dealrec.config.surrogate import SURROGATES
from dealrec.surrogates.interface import TokenwiseTail, softmax_losses
from dealrec.surrogates.registry import surrogate_class
from tests.dealrec.surrogates.data import prepared, ring_dataset

N_ITEMS, PADDING = 20, 20
DATASET = ring_dataset(users=12, items=N_ITEMS)
TABLE = "item_embedding.weight"


def made(name):
    torch.manual_seed(0)
    surrogate = prepared(name, DATASET, hidden_size=16, max_length=8)
    if TABLE in dict(surrogate.named_parameters()):
        surrogate.get_parameter(TABLE).data[:N_ITEMS].mul_(20)
    return surrogate


@pytest.fixture(params=SURROGATES)
def model(request):
    return made(request.param)


@pytest.fixture(
    params=[name for name in SURROGATES if issubclass(surrogate_class(name), TokenwiseTail)]
)
def tailed(request):
    return made(request.param)


def random_sequences(count, longest, seed):
    """Rows of random lengths, padded on the right, and the lengths."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (count,), generator=generator)
    lengths[0] = longest
    sequences = torch.randint(N_ITEMS, (count, longest), generator=generator)
    return sequences.masked_fill(torch.arange(longest) >= lengths[:, None], PADDING), lengths


@pytest.mark.parametrize("seed", range(5))
def test_no_state_sees_what_comes_after_it(model, seed):
    sequences, lengths = random_sequences(6, 8, seed)
    states = model(sequences)
    changed = sequences.clone()
    for row, length in enumerate(lengths.tolist()):
        place = (3 * row + seed) % length
        changed[row, place + 1 : length] = (changed[row, place + 1 : length] + 7) % N_ITEMS
        changed[row, place] = sequences[row, place]
    others = model(changed)
    for row, length in enumerate(lengths.tolist()):
        kept = (3 * row + seed) % length + 1
        torch.testing.assert_close(others[row, :kept], states[row, :kept], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_neither_padding_nor_the_other_rows_change_a_state(model, seed):
    sequences, lengths = random_sequences(6, 8, seed)
    states = model(sequences)
    for row, length in enumerate(lengths.tolist()):
        alone = model(sequences[row : row + 1, :length])[0]
        torch.testing.assert_close(states[row, :length], alone, rtol=1e-12, atol=1e-12)


def test_a_state_depends_on_its_own_item_and_on_the_one_before(model):
    states = model(torch.tensor([[3, 1, 4], [3, 1, 5], [3, 2, 4]]))[:, 2]
    assert (states[0] - states[1]).norm() > 1e-3
    assert (states[0] - states[2]).norm() > 1e-3


def test_states_at_places_are_those_of_the_whole_pass(model):
    sequences, lengths = random_sequences(5, 6, 0)
    rows, columns = torch.nonzero(torch.arange(6) < lengths[:, None], as_tuple=True)
    picked = model.states_at(sequences, rows, columns)
    torch.testing.assert_close(picked, model(sequences)[rows, columns], rtol=1e-12, atol=1e-12)


def test_scores_are_inner_products_with_the_last_state(model):
    sequences, lengths = random_sequences(5, 6, 0)
    scores = model.scores(sequences, lengths)
    states = model(sequences)[torch.arange(5), lengths - 1]
    assert scores.shape == (5, N_ITEMS)
    torch.testing.assert_close(scores, states @ model.item_vectors().T)
    torch.testing.assert_close(model.vectors_of(torch.arange(N_ITEMS)), model.item_vectors())
    torch.testing.assert_close(model.ranker()(sequences, lengths), scores, rtol=1e-12, atol=1e-12)


def test_the_two_halves_around_the_attention_output_make_the_whole(tailed):
    sequences, lengths = random_sequences(5, 6, 0)
    real = torch.arange(6) < lengths[:, None]
    rows, columns = torch.nonzero(real, as_tuple=True)
    matrix = tailed.get_parameter(tailed.attention_output_name())
    whole = tailed(sequences)[real]
    for entering, residual in (
        (part[real] for part in tailed.before_attention_output(sequences)),
        tailed.entering_at(sequences, rows, columns),
    ):
        states = tailed.after_attention_output(entering @ matrix.T, residual)
        torch.testing.assert_close(states, whole, rtol=1e-12, atol=1e-12)


def test_the_first_half_at_the_last_position_of_each_row_is_that_of_all_positions(tailed):
    sequences, lengths = random_sequences(5, 6, 0)
    rows, columns = torch.arange(5), lengths - 1
    everywhere = tailed.before_attention_output(sequences)
    found = tailed.entering_at(sequences, rows, columns)
    for part, one in zip(everywhere, found, strict=True):
        torch.testing.assert_close(one, part[rows, columns], rtol=1e-12, atol=1e-12)


def test_sample_losses_are_the_weighted_sums_of_position_losses(model):
    sequences = torch.tensor([[3, 1, 4], [1, 5, 20]])
    targets = torch.tensor([[1, 4, 2], [5, 6, 0]])
    weights = torch.tensor([[0.0, 0.5, 1.0], [0.25, 0.75, 0.0]], dtype=torch.float64)
    losses = model.sample_losses(sequences, targets, weights)
    states, items = model(sequences), model.item_vectors()
    for row in range(2):
        each = softmax_losses(states[row], items, targets[row])
        torch.testing.assert_close(losses[row], (each * weights[row]).sum())


def test_every_parameter_set_names_parameters_that_exist(model):
    names = {name for name, _ in model.named_parameters()}
    sets = model.parameter_sets()
    assert all(set(members) <= names and members for members in sets.values())
    assert set(sets[InfluenceParameters.ALL]) == names


def test_models_with_a_tail_have_every_parameter_set(tailed):
    sets = tailed.parameter_sets()
    assert set(sets) == set(InfluenceParameters) - {InfluenceParameters.ITEM_EMBEDDING}
    assert set(sets[InfluenceParameters.ATTENTION_OUTPUT]) < set(
        sets[InfluenceParameters.LAST_BLOCK]
    )


@pytest.mark.parametrize("name", ["sasrec", "bert4rec", "gru4rec", "dcrec"])
def test_the_last_block_is_what_only_the_states_after_it_depend_on(name):
    """Without its last block's parameters the model has no more than embeddings and earlier blocks."""
    model = made(name)
    kept = set(model.parameter_sets()[InfluenceParameters.ALL])
    last = set(model.parameter_sets()[InfluenceParameters.LAST_BLOCK])
    assert TABLE in kept - last
    assert any(".0." in name for name in kept - last)  # the first of the two


def test_losses_have_first_and_second_derivatives_in_both_modes(model):
    sequences, lengths = random_sequences(4, 5, 1)
    weights = (torch.arange(5) < lengths[:, None]).double()
    targets = torch.randint(N_ITEMS, (4, 5), generator=torch.Generator().manual_seed(2))
    parameters = {name: value.detach() for name, value in model.named_parameters()}
    generator = torch.Generator().manual_seed(3)
    direction = {
        name: torch.randn(value.shape, generator=generator, dtype=torch.float64)
        for name, value in parameters.items()
    }
    if TABLE in direction:
        direction[TABLE][PADDING] = 0  # the padding row does not move

    def risk(values):
        return functional_call(_Losses(model), values, (sequences, targets, weights)).sum()

    values = {f"model.{name}": value for name, value in parameters.items()}
    along = {f"model.{name}": value for name, value in direction.items()}
    moved = lambda step: {name: values[name] + step * along[name] for name in values}  # noqa: E731
    dot = lambda gradient: sum((gradient[name] * along[name]).sum() for name in values)  # noqa: E731

    slope = jvp(risk, (values,), (along,))[1]
    torch.testing.assert_close(slope, dot(grad(risk)(values)), rtol=1e-9, atol=1e-9)
    step = 1e-5
    differences = (risk(moved(step)) - risk(moved(-step))) / (2 * step)
    torch.testing.assert_close(slope, differences, rtol=1e-5, atol=1e-5)

    bent = dot(jvp(grad(risk), (values,), (along,))[1])  # forward over reverse
    twice = dot(grad(lambda at: dot(grad(risk)(at)))(values))  # reverse over reverse
    torch.testing.assert_close(bent, twice, rtol=1e-9, atol=1e-9)
    slopes = [dot(grad(risk)(moved(sign * step))) for sign in (1, -1)]
    torch.testing.assert_close(bent, (slopes[0] - slopes[1]) / (2 * step), rtol=1e-4, atol=1e-4)


class _Losses(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, sequences, targets, weights):
        return self.model.sample_losses(sequences, targets, weights)


def test_training_states_name_real_items_and_never_read_them(model):
    """With another item in the place of one that is to be named, the state that must name it is the same."""
    sequences, lengths = random_sequences(6, 8, 4)

    def trained(rows):
        torch.manual_seed(5)
        return model.training_states(rows)

    found = trained(sequences)
    assert found.states.shape == (len(found.targets), 16)
    assert bool((found.targets != PADDING).all()) and bool((found.targets < N_ITEMS).all())
    compared = 0
    for row, length in enumerate(lengths.tolist()):
        changed = sequences.clone()
        unused = sorted(set(range(N_ITEMS)) - set(sequences[row].tolist()))
        changed[row, length - 1] = unused[0]
        other = trained(changed)
        if len(other.targets) != len(found.targets):
            continue
        moved = other.targets != found.targets
        compared += int(moved.sum())
        torch.testing.assert_close(other.states[moved], found.states[moved], rtol=1e-9, atol=1e-9)
    assert compared


@pytest.mark.parametrize("name", SURROGATES)
def test_what_a_model_keeps_of_the_data_is_stored_with_it(name):
    torch.manual_seed(0)
    first = prepared(name, DATASET, hidden_size=16, max_length=8)
    again = prepared(name, ring_dataset(users=3, items=N_ITEMS), hidden_size=16, max_length=8)
    again.load_state_dict(first.state_dict())
    sequences, lengths = random_sequences(5, 6, 0)
    assert torch.equal(again.scores(sequences, lengths), first.scores(sequences, lengths))
