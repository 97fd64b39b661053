"""The job form against the models that it is made from."""

from app.console.fields import job_form, read_budget, read_config
from dealrec.config import FinetuneConfig, PruneConfig


def test_the_form_at_its_defaults_asks_for_the_default_configuration() -> None:
    fields = [field for part in job_form() for field in part.fields]
    form = {field.name: field.value for field in fields}
    assert PruneConfig.parse(read_config({**form, "use.effort": "1"})) == PruneConfig()
    everything = read_config({**form, "use.effort": "1", "use.finetune": "1"})
    assert PruneConfig.parse(everything) == PruneConfig(finetune=FinetuneConfig())


def test_every_option_of_the_models_has_a_field() -> None:
    names = {field.name for part in job_form() for field in part.fields}
    for name in ("surrogate", "influence", "selection", "prompt"):
        options = {f"{name}.{option}" for option in type(getattr(PruneConfig(), name)).model_fields}
        assert options - names <= {"influence.target_samples"}


def test_a_budget_is_a_count_or_a_percentage() -> None:
    assert read_budget({"budget": "1,024", "budget_unit": "samples"}) == "1024"
    assert read_budget({"budget": "29", "budget_unit": "percent"}) == "0.29"
