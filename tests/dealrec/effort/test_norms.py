import pytest
import torch

from dealrec.effort.norms import gradient_norms
from dealrec.effort.parameters import NormWeights


def test_padding_contributes_nothing_whatever_it_holds():
    inputs, gradients = torch.randn(2, 5, 3), torch.randn(2, 5, 4)
    tokens = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    clean = gradient_norms(inputs, gradients, tokens)
    inputs[1, 3:], gradients[1, 3:] = float("nan"), float("inf")
    assert torch.equal(gradient_norms(inputs, gradients, tokens), clean)
    torch.testing.assert_close(clean[1], (gradients[1, :3].T @ inputs[1, :3]).norm())


class _GemmaNorm(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([0.0, 0.5, -1.0]))

    def forward(self, values):
        return values / values.norm(dim=-1, keepdim=True) * (1 + self.weight)


@pytest.mark.parametrize(
    "norm",
    [torch.nn.RMSNorm(3), torch.nn.LayerNorm(3), _GemmaNorm()],
    ids=["rms", "layer", "one+w"],
)
def test_a_norm_layer_s_weights_have_the_gradient_of_autograd(norm):
    inputs, gradients = torch.randn(2, 5, 4, 3), torch.randn(2, 5, 4, 3)
    tokens = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    expected = []
    for row in range(2):
        norm.zero_grad()
        own = tokens[row]
        norm(inputs[row, own]).backward(gradients[row, own])
        flat = torch.cat([parameter.grad for parameter in norm.parameters()])
        expected.append((flat**2).sum())
    squares = NormWeights(norm).squares(inputs, gradients, tokens)
    torch.testing.assert_close(squares, torch.stack(expected), rtol=1e-4, atol=0)
