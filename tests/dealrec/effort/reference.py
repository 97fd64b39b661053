"""Effort by plain autograd: the whole model, its own logits and loss, one sample at a time."""

import torch
from transformers.pytorch_utils import Conv1D

from dealrec.config.effort import EffortParameters
from dealrec.effort.parameters import lora_downs
from dealrec.language_models.tokens import Encoder
from tests.dealrec.language_models.tiny import tiny_samples

P = EffortParameters
_FUSED = ("query_key_value", "qkv_proj", "c_attn", "Wqkv")


def encoded(loaded, count):
    """Tokens of ``count`` samples of quite different lengths."""
    return Encoder(loaded.tokenizer, 512).encode(tiny_samples(count))


def one_by_one(loaded, samples, config):
    """[b] gradient norms."""
    layer = last_layer(loaded.model)
    names = {P.V_PROJ: ["v_proj"], P.LORA_B: ["v_proj"], P.LORA: ["v_proj", "q_proj"]}
    found = [_projection(loaded.model, layer, name) for name in names.get(config.parameters, [])]
    weights = [module.weight for module, _ in found]
    if config.parameters is P.V_PROJ:
        weights += [module.bias for module, _ in found if module.bias is not None]
    weights = weights or list(layer.parameters())
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
        gradients = list(torch.autograd.grad(loss, weights))
        if found:  # a weight [o, i] or a bias [o]: the rows of the projection
            (modules, rows) = zip(*(found * 2)[: len(gradients)], strict=True)
            gradients = [
                (g.T if isinstance(module, Conv1D) and g.dim() == 2 else g)[own]
                for g, module, own in zip(gradients, modules, rows, strict=True)
            ]
        if config.parameters in (P.LORA_B, P.LORA):
            downs = lora_downs(config, [g.shape[1] for g in gradients])
            gradients = [g @ down.T for g, down in zip(gradients, downs, strict=True)]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        norms.append(flat.double().norm().float())  # millions of squares: not summed in float32
    for weight in weights:
        weight.requires_grad_(requires_grad=False)
    return torch.stack(norms)


def last_layer(model):
    """The last layer of the decoder."""
    lists = [c for c in model.get_decoder().children() if isinstance(c, torch.nn.ModuleList)]
    return lists[0][-1]


def _projection(model, layer, name):
    """The module that computes a projection, and the rows of its weight that belong to it."""
    modules = {path.rpartition(".")[2]: module for path, module in layer.named_modules()}
    if name in modules:
        return modules[name], slice(None)
    fused = next(modules[each] for each in _FUSED if each in modules)
    reached = {
        # Of one token's attention only the value matters, and of an earlier one not the query.
        "v_proj": lambda: _reached(model, layer, fused, [3])[0] > 1e-9,
        "q_proj": lambda: _reached(model, layer, fused, [3, 5])[0] < 1e-9,
    }[name]()
    return fused, reached.nonzero()[:, 0]


def _reached(model, layer, fused, tokens):
    """[t, o] by how much each output of ``fused`` changes what ``layer`` makes of the last token."""
    held = []
    handles = [
        fused.register_forward_hook(lambda _m, _i, out: held.append(out.requires_grad_())),
        layer.register_forward_hook(lambda _m, _i, out: held.append(out)),
    ]
    model.double()
    model.get_decoder()(input_ids=torch.tensor([tokens]), use_cache=False)
    for handle in handles:
        handle.remove()
    states = held[1] if isinstance(held[1], torch.Tensor) else held[1][0]
    states = states.reshape(1, len(tokens), -1)
    draw = torch.rand(states.shape[-1], dtype=states.dtype)
    (gradient,) = torch.autograd.grad(states[0, -1] @ draw, held[0])
    model.float()
    return gradient.reshape(len(tokens), -1).abs()
