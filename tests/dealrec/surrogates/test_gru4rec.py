import torch

from dealrec.surrogates.gru4rec import GatedUnits


def test_the_written_out_units_are_those_of_torch():
    torch.manual_seed(0)
    units = GatedUnits(8).double()
    library = torch.nn.GRU(8, 8, batch_first=True).double()
    state = {"weight_ih_l0": units.input.weight, "weight_hh_l0": units.hidden.weight}
    state |= {"bias_ih_l0": units.input.bias, "bias_hh_l0": units.hidden.bias}
    library.load_state_dict(state)
    inputs = torch.randn(3, 7, 8, dtype=torch.float64)
    torch.testing.assert_close(units(inputs), library(inputs)[0], rtol=1e-12, atol=1e-12)
