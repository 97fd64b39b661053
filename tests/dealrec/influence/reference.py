"""Influence from its definition: one sample at a time, dense matrices, float64.

The model's table of item vectors has a second name, under which outputs alone are scored.
"""

import copy

import numpy as np
import torch
from torch.autograd.functional import hessian
from torch.func import functional_call, jacrev, vmap

from dealrec.config import Curvature, InfluenceParameters, SampleLoss

TABLE, OUTPUT = "item_embedding.weight", "output item vectors"


class Reference:
    """Losses, gradients and curvatures of ``samples`` as functions of one flat parameter vector."""

    def __init__(self, surrogate, samples, parameters, loss=SampleLoss.LAST):
        self.model = copy.deepcopy(surrogate.model).double().eval()
        self.samples, self.loss = samples, loss
        self.everything = {n: value.detach() for n, value in self.model.named_parameters()}
        self.everything[OUTPUT] = self.everything[TABLE][: self.model.n_items]
        outputs_only = parameters is InfluenceParameters.ITEM_EMBEDDING
        self.names = (OUTPUT,) if outputs_only else self.model.parameter_sets()[parameters]
        self.at = torch.cat([self.everything[name].reshape(-1) for name in self.names])

    def gradients(self):
        """[n, P]."""
        return torch.stack(
            [torch.func.grad(lambda flat, s=s: self._loss(flat, s))(self.at) for s in self._all()]
        )

    def dense(self, curvature):
        """[P, P], of the mean loss."""
        one = self._hessian if curvature is Curvature.HESSIAN else self._gauss_newton
        return torch.stack([one(sample) for sample in self._all()]).mean(0)

    def _hessian(self, sample):
        # Reverse over reverse: torch.func.hessian (torch 2.13) is wrong in the weights of LayerNorm.
        return hessian(lambda flat: self._loss(flat, sample), self.at, vectorize=True)

    def _gauss_newton(self, sample):
        """``Jᵀ(diag(p) − ppᵀ)J`` with the Jacobian of the logits written out, position by position."""
        logits, jacobian = self._logits(self.at, sample), jacrev(self._logits)(self.at, sample)
        p = logits.softmax(1)
        bend = vmap(torch.diag)(p) - p[:, :, None] * p[:, None, :]
        each = jacobian.transpose(1, 2) @ bend @ jacobian
        return each[-1] if self.loss is SampleLoss.LAST else each.mean(0)

    def _loss(self, flat, sample):
        each = torch.nn.functional.cross_entropy(
            self._logits(flat, sample), self._following(sample), reduction="none"
        )
        return each[-1] if self.loss is SampleLoss.LAST else each.mean()

    def _logits(self, flat, sample):
        """[T, I]."""
        shapes = [self.everything[name].shape for name in self.names]
        parts = flat.split([shape.numel() for shape in shapes])
        own = {n: part.view(s) for n, part, s in zip(self.names, parts, shapes, strict=True)}
        parameters = {**self.everything, **own}
        items = parameters.pop(OUTPUT)
        if OUTPUT not in own:
            items = parameters[TABLE][: self.model.n_items]
        states = functional_call(self.model, parameters, (self._history(sample)[None],))[0]
        return states @ items.T

    def _history(self, sample):
        history = self.samples.history(sample, self.model.max_length)
        return torch.from_numpy(history.astype(np.int64))

    def _following(self, sample):
        return torch.cat([self._history(sample)[1:], torch.tensor([self.samples.targets[sample]])])

    def _all(self):
        return range(len(self.samples))
