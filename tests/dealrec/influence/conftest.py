import pytest

from dealrec.config import SurrogateConfig
from dealrec.config.runtime import Runtime
from dealrec.surrogates.training import train_surrogate
from tests.dealrec.surrogates.data import ring_dataset


@pytest.fixture(scope="session")
def ring_surrogate():
    """A small trained surrogate of ``ring_dataset(users=40, items=25)``."""
    config = SurrogateConfig(
        hidden_size=8,
        layers=2,
        heads=2,
        max_length=6,
        negatives=20,
        batch_tokens=64,
        epochs=8,
        learning_rate=0.01,
    )
    dataset = ring_dataset(users=40, items=25)
    return train_surrogate(dataset, config, runtime=Runtime(threads=1, device="cpu"))
