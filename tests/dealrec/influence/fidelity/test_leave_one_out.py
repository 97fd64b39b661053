import numpy as np
import pytest

from dealrec.config import (
    Curvature,
    InfluenceConfig,
    InfluenceParameters,
    RiskTarget,
    SurrogateConfig,
)
from dealrec.config.runtime import Runtime
from dealrec.data.samples import build_samples
from dealrec.errors import InputError
from dealrec.influence.fidelity.leave_one_out import leave_one_out
from dealrec.surrogates.training import train_surrogate
from tests.dealrec.surrogates.data import ring_dataset

DATASET = ring_dataset(users=150, items=9)
SAMPLES = build_samples(DATASET)


def found(surrogate, **options):
    config = InfluenceConfig(
        dtype="float64",
        tolerance=1e-8,
        max_iterations=2000,
        damping=options.pop("damping", 0.3),
        **options,
    )
    return leave_one_out(DATASET, SAMPLES, surrogate, config, 12)


@pytest.fixture
def surrogate(small_surrogate):
    return small_surrogate


@pytest.mark.parametrize("target", [RiskTarget.VALIDATION, RiskTarget.TRAIN])
def test_scores_are_what_retraining_without_the_sample_does(surrogate, target):
    result = found(surrogate, parameters=InfluenceParameters.ITEM_EMBEDDING, target=target)
    assert np.corrcoef(result.at_minimum, result.actual)[0, 1] > 0.95
    # To first order, so the slope is near one, and the sizes agree as well as the ranks.
    slope = float(result.at_minimum @ result.actual / (result.at_minimum @ result.at_minimum))
    assert 0.7 < slope < 1.4


@pytest.mark.parametrize("model", ["dcrec", "lightgcn"])
def test_they_are_for_a_surrogate_that_keeps_a_graph_of_the_data(model):
    """The graph is held in retraining as in the scores."""
    config = SurrogateConfig(
        model=model, hidden_size=4, heads=2, max_length=4, negatives=8, batch_tokens=64, epochs=4
    )
    trained = train_surrogate(DATASET, config, runtime=Runtime(threads=1, device="cpu"))
    result = found(trained, parameters=InfluenceParameters.ITEM_EMBEDDING)
    assert np.corrcoef(result.at_minimum, result.actual)[0, 1] > 0.95


def test_the_attention_output_is_measured_with_the_hessian_it_needs(surrogate):
    result = found(surrogate, curvature=Curvature.HESSIAN, damping=1.0)
    assert result.agreement().at_minimum.mean > 0.9


def test_without_its_curvature_a_score_is_further_from_the_truth(surrogate):
    """A damping far above the spectrum turns the solve into a product of gradients."""
    options = {"parameters": InfluenceParameters.ITEM_EMBEDDING}
    solved, plain = (found(surrogate, damping=damping, **options) for damping in (0.03, 100.0))
    correlation = [np.corrcoef(one.at_minimum, solved.actual)[0, 1] for one in (solved, plain)]
    assert correlation[0] > 0.95
    assert correlation[1] < correlation[0]


@pytest.mark.parametrize(
    "parameters", [InfluenceParameters.ITEM_EMBEDDING, InfluenceParameters.ATTENTION_OUTPUT]
)
def test_after_newton_steps_the_scores_that_select_are_those_at_the_minimum(surrogate, parameters):
    options = {"parameters": parameters, "damping": 1.0, "curvature": Curvature.HESSIAN}
    before, after = (found(surrogate, newton_steps=steps, **options) for steps in (0, 50))
    np.testing.assert_array_equal(before.at_minimum, after.at_minimum)
    apart = [np.linalg.norm(one.used - one.at_minimum) for one in (before, after)]
    assert apart[1] < 0.05 * np.linalg.norm(after.at_minimum)
    assert apart[1] < apart[0]


def test_an_optimisation_that_does_not_end_is_an_error(surrogate):
    with pytest.raises(InputError, match="did not converge"):
        found(surrogate, parameters=InfluenceParameters.ALL, damping=1e-6, newton_steps=0)
