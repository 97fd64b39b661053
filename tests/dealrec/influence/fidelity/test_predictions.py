import dataclasses

import numpy as np
import pytest

from dealrec.config import InfluenceConfig, SampleLoss
from dealrec.data.samples import build_samples
from dealrec.influence.examples import Examples
from dealrec.influence.fidelity import predictions
from dealrec.influence.fidelity.halves import random_halves
from dealrec.influence.fidelity.predictions import PredictionInputs, run_predictions
from dealrec.influence.fidelity.predictors import Predictor, predict
from dealrec.progress import SILENT, Silent
from tests.dealrec.surrogates.data import ring_dataset

DATASET = ring_dataset(users=40, items=25)
INFLUENCE = InfluenceConfig(damping=0.1)


@pytest.fixture
def asked(ring_surrogate):
    samples = build_samples(DATASET)
    return PredictionInputs(
        predictors=(
            Predictor("curved", INFLUENCE),
            Predictor("gradient product", INFLUENCE, curved=False),
            Predictor("curved again", INFLUENCE),
        ),
        surrogates=(ring_surrogate.model, ring_surrogate.model),
        samples=samples,
        members=random_halves(np.arange(40), 40, 3, seed=0),
        queries=(Examples.of_validation(DATASET, 6, SampleLoss.LAST),),
    )


class Seen(Silent):
    def __init__(self):
        self.steps = []

    def progress(self, done, total, unit):
        self.steps.append((done, total, unit))


def test_each_predictor_is_the_mean_over_surrogates_whatever_works_on_it(asked):
    alone = predict(
        asked.predictors[0],
        asked.surrogates[0],
        asked.samples,
        asked.members,
        asked.queries,
        lambda: None,
    )[0]
    for processes in (1, 2):
        found = run_predictions(asked, processes, SILENT)
        assert list(found) == ["curved", "gradient product", "curved again"]
        np.testing.assert_allclose(found["curved"][0], alone / alone.std(), rtol=1e-4, atol=1e-6)
        assert not np.allclose(found["curved"][0], found["gradient product"][0], atol=1e-3)


def test_what_differs_by_its_name_alone_is_computed_once(asked, monkeypatch):
    computed = []

    def watched(predictor, *rest):
        computed.append(predictor.name)
        return predict(predictor, *rest)

    monkeypatch.setattr(predictions, "predict", watched)
    found = run_predictions(asked, 1, SILENT)
    assert computed == ["curved"] * 2 + ["gradient product"] * 2
    assert found["curved"] is not found["gradient product"]
    np.testing.assert_array_equal(found["curved"][0], found["curved again"][0])
    other = Predictor("curved again", INFLUENCE, absolute_damping=0.5)
    computed.clear()
    changed = dataclasses.replace(asked, predictors=(*asked.predictors[:2], other))
    run_predictions(changed, 1, SILENT)
    assert computed.count("curved again") == 2


@pytest.mark.parametrize("processes", [1, 2])
def test_progress_counts_the_halves_of_every_prediction(asked, processes):
    seen = Seen()
    run_predictions(asked, processes, seen)
    assert seen.steps == [(done, 12, "half") for done in range(13)]
