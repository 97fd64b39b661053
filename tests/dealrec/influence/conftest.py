import pytest

from dealrec.config import SurrogateConfig
from dealrec.config.runtime import Runtime
from dealrec.surrogates.training import train_surrogate
from tests.dealrec.surrogates.data import ring_dataset


def _trained(dataset, **changes):
    config = SurrogateConfig(
        heads=2, negatives=20, batch_tokens=64, epochs=8, learning_rate=0.01, **changes
    )
    return train_surrogate(dataset, config, runtime=Runtime(threads=1, device="cpu"))


@pytest.fixture(scope="session")
def ring_surrogate():
    """A small trained surrogate of ``ring_dataset(users=40, items=25)``."""
    return _trained(ring_dataset(users=40, items=25), hidden_size=8, max_length=6)


@pytest.fixture(scope="session")
def tiny_surrogate():
    """A trained surrogate of ``ring_dataset(users=9, items=7)`` whose dense matrices are small."""
    return _trained(ring_dataset(users=9, items=7), hidden_size=4, max_length=4)


@pytest.fixture(scope="session")
def small_surrogate():
    """A trained surrogate of ``ring_dataset(users=150, items=9)``: more samples than it has items."""
    return _trained(ring_dataset(users=150, items=9), hidden_size=4, max_length=4)
