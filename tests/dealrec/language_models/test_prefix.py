import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from dealrec.language_models.prefix import PrefixReuse, reuse_prefix
from dealrec.language_models.structure import find_structure
from tests.dealrec.language_models.tiny import tiny_model

PREFIX = [5, 6, 7, 8, 9]


def build(architecture, **options):
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        architecture,
        vocab_size=64,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=4,
        initializer_range=0.3,
        pad_token_id=0,
        **options,
    )
    return AutoModelForCausalLM.from_config(config).eval()


def reuse(model, longest=40):
    structure = find_structure(model)
    return structure, reuse_prefix(model, structure, PREFIX, longest)


@pytest.mark.filterwarnings("error::FutureWarning")
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("architecture", ["llama", "mistral", "qwen2", "qwen3", "gemma"])
def test_hidden_states_are_those_of_the_whole_decoder(architecture, attention):
    model = build(architecture, attn_implementation=attention)
    structure, found = reuse(model)
    assert isinstance(found, PrefixReuse), found
    tokens = torch.cat([torch.tensor([PREFIX] * 3), torch.randint(0, 64, (3, 11))], dim=1)
    with torch.no_grad():
        expected, states = structure.hidden_states(tokens), found.hidden_states(tokens)
        again = found.hidden_states(tokens)
    torch.testing.assert_close(states, expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(states, again)


def test_a_window_of_attention_is_kept_where_texts_are_longer_than_it():
    model = build("mistral", sliding_window=8)
    structure, found = reuse(model)
    assert isinstance(found, PrefixReuse), found
    tokens = torch.tensor([PREFIX + list(range(25))])
    with torch.no_grad():
        expected, states = structure.hidden_states(tokens), found.hidden_states(tokens)
    torch.testing.assert_close(states, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("architecture", "options", "reason"),
    [
        ("opt", {"word_embed_proj_dim": 16, "ffn_dim": 32}, "other hidden states"),
        ("gemma3_text", {"sliding_window_pattern": 2}, "attend in different ways"),
        ("gpt2", {"n_layer": 2, "n_head": 2, "n_embd": 16}, "does not allow it"),
    ],
)
def test_an_architecture_that_does_not_allow_it_says_so(architecture, options, reason):
    _, found = reuse(build(architecture, **options))
    assert isinstance(found, str)
    assert reason in found


def test_without_a_prefix_or_layers_below_the_last_nothing_is_reused():
    model = tiny_model()
    structure = find_structure(model)
    assert reuse_prefix(model, structure, [], 10) == "the texts share no prefix"
    model.model.layers = model.model.layers[:1]
    assert "does not allow" in str(reuse_prefix(model, structure, PREFIX, 10))
    assert len(model.model.layers) == 1
