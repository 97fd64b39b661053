"""Effort by plain autograd: the whole model, its own logits and loss, one sample at a time."""

import torch

from dealrec.config.effort import EffortParameters
from dealrec.effort.parameters import lora_downs
from dealrec.language_models.tokens import Encoder
from tests.dealrec.language_models.tiny import tiny_samples

P = EffortParameters


def encoded(loaded, count):
    """Tokens of ``count`` samples of quite different lengths."""
    return Encoder(loaded.tokenizer, 512).encode(tiny_samples(count))


def one_by_one(loaded, samples, config):
    """[b] gradient norms."""
    layer = loaded.model.model.layers[-1]
    attention = layer.self_attn
    weights = {
        P.V_PROJ: [attention.v_proj.weight],
        P.LORA_B: [attention.v_proj.weight],
        P.LORA: [attention.v_proj.weight, attention.q_proj.weight],
        P.LAST_BLOCK: list(layer.parameters()),
    }[config.parameters]
    for weight in weights:
        weight.requires_grad_()
    norms = []
    for sample in samples:
        ids = torch.tensor([sample.ids])
        logits = loaded.model(input_ids=ids).logits[0].float()
        first = sample.first_label(config.loss_on)
        loss = torch.nn.functional.cross_entropy(
            logits[first - 1 : -1], ids[0, first:], reduction=config.reduction.value
        )
        gradients = torch.autograd.grad(loss, weights)
        if config.parameters in (P.LORA_B, P.LORA):
            downs = lora_downs(config, [weight.shape[1] for weight in weights])
            gradients = tuple(g @ down.T for g, down in zip(gradients, downs, strict=True))
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        norms.append(flat.double().norm().float())  # millions of squares: not summed in float32
    for weight in weights:
        weight.requires_grad_(requires_grad=False)
    return torch.stack(norms)
