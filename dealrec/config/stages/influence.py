"""The stage that scores every sample's influence."""

from dealrec.config.selectors import Need
from dealrec.config.stages.base import SAMPLES, Phase, StageName, StageSpec, Work, Workload


class InfluenceStage(StageSpec):
    """Solves for one inverse-Hessian-vector product, and takes its product with every gradient."""

    name = StageName.INFLUENCE
    title = "Influence"
    part = "influence"
    summary = "How much the risk (the mean loss) would change without each sample."
    phase = Phase.SCORING
    reads = SAMPLES | {"validation_users", "influence"}
    before = (StageName.SURROGATE,)
    always = True
    of_ids = True
    version = 6
    makes = frozenset({Need.INFLUENCE})
    reference_seconds = 1.2e-8

    def work(self, load: Workload) -> Work:
        surrogate, influence = load.config.surrogate, load.config.influence
        items = load.count("items")
        columns = min(influence.loss_items or items, items)
        curved = 3 * min(influence.curvature_tokens, load.samples)
        passes = load.samples + load.count("valid") + curved
        if influence.newton_steps:
            # One step is usual where there are many samples: a gradient before it and one after it.
            passes += 2 * load.samples + curved
        alike = (influence.parameters, influence.curvature, influence.solver)
        return Work(passes * columns * surrogate.ensemble, (surrogate.model, *alike))
