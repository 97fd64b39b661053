"""Checks the language models of stages before anything runs."""

from collections.abc import Sequence
from pathlib import Path

from dealrec.config import PruneConfig
from dealrec.config.finetune import Quantization
from dealrec.config.model_use import asks_for_chat
from dealrec.config.runtime import Runtime, environment_runtime
from dealrec.config.stages import StageSpec
from dealrec.language_models.adapters import require_adapter
from dealrec.language_models.quantization import require_quantization


def require_models(
    stages: Sequence[StageSpec], config: PruneConfig, runtime: Runtime | None = None
) -> None:
    """Check, without loading weights, whether the language models of the stages can be used.

    Raises:
        InputError: As :func:`dealrec.language_models.checking.require_usable`, and
            ``adapter_not_usable``.
    """
    for spec in stages:
        use = spec.language_model(config)
        if use is not None:
            from dealrec.language_models.checking import require_usable

            require_usable(
                use,
                chat=asks_for_chat(use, config.prompt),
                runtime=runtime or environment_runtime(),
            )
            require_quantization(Quantization(use.quantization))
            if use.adapter is not None:
                require_adapter(Path(use.adapter).expanduser())
