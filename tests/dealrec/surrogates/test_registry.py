import pytest
import torch

from dealrec.config import InfluenceConfig, InfluenceParameters, PruneConfig, SurrogateConfig
from dealrec.config.runtime import Runtime
from dealrec.config.surrogate import SURROGATES
from dealrec.data.samples import build_samples
from dealrec.errors import InputError
from dealrec.influence.scoring import score_influence
from dealrec.surrogates.registry import make_surrogate, surrogate_class
from dealrec.surrogates.storage import load_surrogate
from dealrec.surrogates.training import train_surrogate
from tests.dealrec.surrogates.data import ring_dataset
from tests.dealrec.surrogates.own_model import LastItem

OWN = "tests.dealrec.surrogates.own_model:LastItem"
ONE = Runtime(threads=1, device="cpu")


@pytest.mark.parametrize("name", SURROGATES)
def test_every_listed_surrogate_can_be_made(name):
    config = SurrogateConfig(model=name, hidden_size=8)
    assert make_surrogate(5, config).item_vectors().shape == (5, 8)


@pytest.mark.parametrize("name", SURROGATES)
def test_parameters_that_a_surrogate_lacks_are_refused_before_anything_is_trained(name):
    made = make_surrogate(5, SurrogateConfig(model=name, hidden_size=8))
    own = {*made.parameter_sets(), InfluenceParameters.ITEM_EMBEDDING}
    for parameters in InfluenceParameters:
        config = {"surrogate": {"model": name}, "influence": {"parameters": parameters}}
        if parameters in own:
            assert PruneConfig.parse(config).influence.parameters is parameters
        else:
            with pytest.raises(InputError, match=f"`{name}` has no parameters `{parameters}`"):
                PruneConfig.parse(config)


def test_a_model_of_ones_own_may_give_training_states_as_a_pair():
    models = [
        train_surrogate(
            ring_dataset(users=20),
            SurrogateConfig(model=model, hidden_size=4, epochs=2),
            runtime=ONE,
        ).model
        for model in (OWN, OWN.replace("LastItem", "WithPairs"))
    ]
    assert torch.equal(*(model.item_vectors() for model in models))


def test_a_model_of_ones_own_is_trained_stored_and_scored_like_any_other(tmp_path):
    dataset = ring_dataset(users=200)
    config = SurrogateConfig(
        model=OWN, hidden_size=16, epochs=30, learning_rate=0.03, batch_tokens=64, negatives=20
    )
    trained = train_surrogate(dataset, config, runtime=ONE)
    assert isinstance(trained.model, LastItem)
    assert trained.metrics["test_recall@5"] > 0.5  # the next item of the ring, mostly
    trained.save(tmp_path)
    loaded = load_surrogate(tmp_path)
    assert torch.equal(loaded.model.item_vectors(), trained.model.item_vectors())
    scores = score_influence(
        dataset,
        build_samples(dataset),
        loaded,
        InfluenceConfig(parameters=InfluenceParameters.ITEM_EMBEDDING),
        runtime=ONE,
    )
    assert len(scores.scores) == len(build_samples(dataset))
    with pytest.raises(InputError, match="LastItem has no parameter set `attention_output`"):
        score_influence(
            dataset,
            build_samples(dataset),
            loaded,
            InfluenceConfig(parameters=InfluenceParameters.ATTENTION_OUTPUT),
            runtime=ONE,
        )


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("tests.dealrec.surrogates.nowhere:Model", "No module named"),
        ("tests.dealrec.surrogates.own_model:Missing", "Missing"),
        ("tests.dealrec.surrogates.own_model:NotASurrogate", "is not a"),
        ("math:pi", "is not a"),
    ],
)
def test_a_path_that_leads_to_no_surrogate_says_why(path, reason):
    with pytest.raises(InputError, match=reason) as error:
        surrogate_class(path)
    assert error.value.code == "invalid_config"
    assert error.value.errors[0].location == "config.surrogate.model"


@pytest.mark.parametrize("name", ["sasrecs", "", "a.b", "a:b:c", "os; import x:y", "a b:C", "é:C"])
def test_a_name_that_is_neither_listed_nor_a_path_is_refused_before_anything_is_imported(name):
    with pytest.raises(InputError, match="sasrec, bert4rec, gru4rec"):
        SurrogateConfig.parse({"model": name})
