"""Effort on every family of decoders, against plain autograd."""

import pytest
import torch

from dealrec.config.effort import EffortConfig, EffortParameters
from dealrec.effort.gradients import GradientMeter
from dealrec.errors import InputError
from tests.dealrec.effort.reference import encoded, one_by_one
from tests.dealrec.language_models.families import FAMILIES, family_loaded


@pytest.fixture(scope="module", params=FAMILIES)
def loaded(request):
    return family_loaded(request.param)


def test_every_family_has_the_norms_of_plain_autograd(loaded):
    samples = encoded(loaded, 3)
    for parameters in EffortParameters:
        config = EffortConfig(parameters=parameters)
        if loaded.name == "Mamba" and parameters is not EffortParameters.LAST_BLOCK:
            with pytest.raises(InputError, match=r"mixer\.in_proj.*last_block") as refusal:
                GradientMeter(loaded, config)
            assert refusal.value.code == "model_not_supported"
            continue
        meter = GradientMeter(loaded, config)
        expected = one_by_one(loaded, samples, config)
        assert expected.min() > 1e-6
        torch.testing.assert_close(meter.norms(samples), expected, rtol=1e-4, atol=0)
        assert not any(part.requires_grad for part in loaded.model.parameters())
