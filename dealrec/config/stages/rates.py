"""How fast a stage is with a language model, by what was measured of the model."""

from dataclasses import dataclass

from dealrec.config.language_models import measurements
from dealrec.config.model_use import trained_model
from dealrec.config.prune import PruneConfig
from dealrec.config.stages.base import Phase, StageSpec


@dataclass(frozen=True)
class MeasuredRate:
    """The rate of a stage by ``dealrec models check``."""

    unit_seconds: float
    """Seconds for a unit of work, which is one text."""
    peak_memory_bytes: int


def measured_rate(spec: StageSpec, config: PruneConfig) -> MeasuredRate | None:
    """Return the rate of a stage, or ``None`` where its model was not measured in the number type asked for.

    Of several devices the last one that was measured counts. A text is as long as those of the check, or
    as long as the configuration lets it be.
    """
    use = spec.language_model(config)
    if use is None and config.finetune is not None and spec.phase is Phase.TRAINING:
        use = trained_model(config.finetune)
    if spec.pace is None or use is None:
        return None
    found = [one for one in measurements(use.model) if one.dtype == use.dtype]
    if not found:
        return None
    latest = max(found, key=lambda one: one.checked_at)
    tokens = min(latest.sample_tokens, use.max_tokens or latest.sample_tokens)
    seconds: float = getattr(latest, f"{spec.pace.value}_seconds")
    return MeasuredRate(seconds * tokens / 1000, latest.peak_memory_bytes)
