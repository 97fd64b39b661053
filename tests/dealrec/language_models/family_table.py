"""Prints the table of families in ``docs/guides/your-model.md``; run it with ``python -m``."""

import sys
import tempfile
from pathlib import Path

import torch

from dealrec.config.effort import EffortConfig, EffortParameters
from dealrec.config.finetune import FinetuneConfig
from dealrec.effort.gradients import GradientMeter
from dealrec.errors import InputError
from dealrec.finetune.adapter import save_adapter
from dealrec.finetune.trainer import LoraTraining
from dealrec.language_models.targets import target_modules
from dealrec.language_models.tokens import Encoder
from dealrec.recommenders.registry import make_recommender
from tests.dealrec.effort.reference import encoded, one_by_one
from tests.dealrec.language_models.families import FAMILIES, family_loaded, family_model
from tests.dealrec.language_models.test_wording import (
    CHAT_TEMPLATES,
    NO_SYSTEM,
    chat_tokenizer,
    chats,
    labels_of,
    tokenized_by_trl,
)
from tests.dealrec.language_models.tiny import tiny_samples


def table() -> str:
    """Measure every family and return the table in Markdown."""
    head = (
        "| family | largest relative error of effort | layers that `auto` adapts "
        "| adapter in plain peft | chat, compared with TRL |"
    )
    return "\n".join([head, "|---|---|---|---|---|", *map(_row, FAMILIES)])


def _row(family: str) -> str:
    targets = target_modules(family_model(family), family, ["auto"])
    named = ", ".join(f"`{name}`" for name in targets)
    cells = (family, _effort_error(family), named, _reloaded(family), _chat(family))
    return f"| {' | '.join(cells)} |"


def _chat(family: str) -> str:
    """Compare tokens and labels with TRL's, in the chat template that TRL ships for the family."""
    template = CHAT_TEMPLATES.get(family)
    if template is None:
        return "no template in TRL"
    tokenizer = chat_tokenizer(template)
    samples = chats(system=template not in NO_SYSTEM)
    ours = [(one.ids, labels_of(one)) for one in Encoder(tokenizer, 4096).encode(samples)]
    return (
        "same tokens and loss" if ours == tokenized_by_trl(tokenizer, samples) else "OTHER TOKENS"
    )


def _effort_error(family: str) -> str:
    loaded, worst, measured = family_loaded(family), 0.0, []
    samples = encoded(loaded, 3)
    for parameters in EffortParameters:
        config = EffortConfig(parameters=parameters)
        try:
            norms = GradientMeter(loaded, config).norms(samples)
        except InputError:
            continue
        measured.append(parameters.value)
        expected = one_by_one(loaded, samples, config)
        worst = max(worst, float(((norms - expected) / expected).abs().max()))
    only = "" if len(measured) == len(EffortParameters) else f" ({', '.join(measured)} only)"
    return f"{worst:.0e}{only}"


def _reloaded(family: str) -> str:
    from peft import PeftModel

    config = FinetuneConfig(learning_rate=0.05, batch_size=2)
    recommender = make_recommender(family_loaded(family), config, None)
    samples = tiny_samples(4)
    training = LoraTraining(recommender, samples, config)
    for _ in range(2):
        training.advance()
    tokens = torch.arange(12)[None]
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        save_adapter(
            training.model, recommender, config, {}, {}, samples[0], Path(folder) / "adapter"
        )
        plain = PeftModel.from_pretrained(family_model(family), Path(folder) / "adapter").eval()
        same = torch.equal(plain(tokens).logits, training.model.eval()(tokens).logits)
    return "equal logits" if same else "OTHER LOGITS"


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
