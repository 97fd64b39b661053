"""The plain way to influence: one sample at a time, a forward and a backward pass each."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from dealrec.influence.examples import Batch, Examples
from dealrec.surrogates.interface import Surrogate


def one_by_one(model: Surrogate, names: list[str], examples: Examples) -> Iterator[Tensor]:
    """[P] the gradient of each example's loss by the parameters ``names``, in dense order."""
    measured = [model.get_parameter(name) for name in names]
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for parameter in measured:
        parameter.requires_grad_(True)
    for start, end in zip(examples.starts, examples.ends, strict=True):
        history = torch.from_numpy(examples.items[start:end].astype("int64"))[None]
        target = torch.tensor([int(examples.items[end])])
        logits = model(history)[:, -1] @ model.item_vectors().T
        loss = nn.functional.cross_entropy(logits, target)
        gradients = torch.autograd.grad(loss, measured)
        yield torch.cat([gradient.reshape(-1) for gradient in gradients])


@torch.no_grad()
def plain_forward(model: Surrogate, batches: list[Batch]) -> None:
    """The losses of ``batches``, and nothing else."""
    for batch in batches:
        model.sample_losses(batch.sequences, batch.targets, batch.weights)
