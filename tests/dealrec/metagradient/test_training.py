"""The derivative through a training is that of the training as it is run."""

import numpy as np
import pytest
import torch

from dealrec.config import SelectionConfig
from dealrec.config.selection_training import encoder_of
from dealrec.metagradient import training as training_of
from dealrec.metagradient.encoder import Parameters, titles_of_samples, titles_of_users
from dealrec.metagradient.risk import ValidationRisk
from dealrec.metagradient.training import Training
from dealrec.selection.titles import NO_TITLE, AskedUsers, TitleTable

SAMPLES, MEMBERS = 50, 20


def table(seed=0, users=30):
    rng = np.random.default_rng(seed)
    histories = rng.integers(0, 60, (SAMPLES + users, 4), dtype=np.int32)
    histories[::5, 3] = NO_TITLE
    return TitleTable(
        rng.normal(size=(60, 12)),  # type: ignore[arg-type]  # 64-bit numbers, for differences
        histories[:SAMPLES],
        rng.integers(0, 60, SAMPLES, dtype=np.int32),
        AskedUsers(histories[SAMPLES:], rng.integers(0, 60, (users, 5), dtype=np.int32)),
    )


def training(*, epochs=5, looks=1, rate=3e-3, **options):
    known, generator = table(), torch.Generator().manual_seed(0)
    weight = torch.randn(6, 12, generator=generator, dtype=torch.float64) / 3
    start = Parameters(weight, torch.zeros(6, dtype=torch.float64))
    samples = titles_of_samples(known, 0.8)
    risk = ValidationRisk(titles_of_users(samples, known.validation, 0.8))
    selection = SelectionConfig(training_epochs=epochs, training_batch=8, training_rate=rate)
    config = encoder_of(selection).model_copy(update=options)
    return Training(samples, start, config, looks), risk


def parted(seed=1):
    order = torch.randperm(SAMPLES, generator=torch.Generator().manual_seed(seed))
    return order[:MEMBERS], order[MEMBERS:]


@pytest.mark.parametrize("clipped", [True, False])
@pytest.mark.parametrize("of", ["members", "others", "all"])
def test_the_derivative_is_the_difference_of_two_trainings(of, clipped):
    made, risk = training(max_gradient_norm=0.5 if clipped else 1e9)
    members, others = parted()
    value, by_weights = made.metagradient(members, others, risk)
    usual = torch.zeros(SAMPLES, dtype=torch.float64)
    usual[members] = 1.0
    generator = torch.Generator().manual_seed(2)
    along = torch.randn(SAMPLES, generator=generator, dtype=torch.float64)
    along *= {"members": usual, "others": 1 - usual, "all": torch.ones(())}[of]

    def after(step):
        state, _ = made.run(members, others, usual + step * along)
        return float(risk(state.parameters))

    difference = (after(1e-6) - after(-1e-6)) / 2e-6
    assert value == pytest.approx(after(0.0), abs=1e-12)
    size = float((by_weights * along).abs().sum())  # the terms may cancel, their rounding does not
    assert float(by_weights @ along) == pytest.approx(difference, rel=1e-6, abs=1e-6 * size)


def test_looking_at_others_in_some_epochs_changes_nothing_for_members():
    members, others = parted()
    found = [
        made.metagradient(members, others, risk)
        for made, risk in (training(epochs=4), training(epochs=4, looks=4))
    ]
    often, seldom = (by_weights for _, by_weights in found)
    assert torch.allclose(often[members], seldom[members], rtol=0, atol=1e-12)
    assert not torch.equal(often[others], seldom[others])
    assert (seldom[others] != 0).all()


def test_others_are_looked_at_in_pieces_with_the_same_result(monkeypatch):
    made, risk = training()
    _, whole = made.metagradient(*parted(), risk)
    monkeypatch.setattr(training_of, "AT_ONCE", 2)
    _, pieces = made.metagradient(*parted(), risk)
    assert torch.allclose(whole, pieces, rtol=0, atol=1e-12) and (pieces != 0).all()


def test_a_training_on_members_is_the_same_whoever_is_looked_at():
    made, _ = training()
    members, others = parted()
    first, _ = made.run(members, others)
    weights = torch.zeros(SAMPLES, dtype=torch.float64)
    weights[members] = 1.0
    second, _ = made.run(members, others, weights)
    assert torch.allclose(first.weight, second.weight, rtol=0, atol=1e-12)


def test_its_steps_are_those_of_the_schedule():
    made, _ = training()
    members, others = parted()
    steps = list(made.steps(members, others))
    assert [step.number for step in steps] == list(range(1, 16))
    for epoch in range(5):
        of_epoch = steps[3 * epoch : 3 * epoch + 3]
        assert sorted(torch.cat([s.members for s in of_epoch]).tolist()) == sorted(members.tolist())
        assert sorted(torch.cat([s.others for s in of_epoch]).tolist()) == sorted(others.tolist())


def test_another_seed_is_another_order():
    made, _ = training()
    first, second = (next(one.steps(*parted())).members for one in (made, made.with_seed(1)))
    assert not torch.equal(first, second)
