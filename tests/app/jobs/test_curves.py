"""The curves of a job name the unit of their steps."""

from dealrec.app.jobs.curves import JobMetrics
from dealrec.app.tables.jobs import StageRow


def test_every_stage_counts_its_curves_in_its_own_unit() -> None:
    names = {"surrogate": "loss", "select": "validation_preference", "finetune": "train_loss"}
    rows = [
        StageRow(name=stage, run=0, curves={curve: [(0, 0.1), (1, 0.2)]})
        for stage, curve in names.items()
    ]
    found = {one.stage: (one.name, one.unit) for one in JobMetrics.of("job", rows).series}
    assert found == {
        "surrogate": ("loss", "epoch"),
        "select": ("validation_preference", "round"),
        "finetune": ("train_loss", "step"),
    }
