"""Titles behind one prompt have the likelihood that each has alone."""

import numpy as np
import pytest
import torch
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from dealrec.config.finetune import FinetuneConfig, LoraSettings
from dealrec.language_models import LoadedLanguageModel
from dealrec.recommenders.registry import make_recommender
from dealrec.recommenders.titles import title_losses
from tests.dealrec.language_models.tiny import byte_tokenizer, tiny_model, tiny_samples

SIZES = {
    "vocab_size": 260,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,
    "pad_token_id": 256,
    "eos_token_id": 256,
}
GPT2_SIZES = {"n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 512, "initializer_range": 0.3}
MODELS = {
    "llama": tiny_model,
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=260, eos_token_id=256, **GPT2_SIZES)),
    "window": lambda: MistralForCausalLM(MistralConfig(**SIZES, sliding_window=24)),
    "mixed windows": lambda: Qwen2ForCausalLM(
        Qwen2Config(
            **SIZES,
            use_sliding_window=True,
            sliding_window=24,
            layer_types=["full_attention", "sliding_attention", "full_attention"],
        )
    ),
    "alibi": lambda: BloomForCausalLM(
        BloomConfig(vocab_size=260, hidden_size=16, n_layer=2, n_head=4, initializer_range=0.3)
    ),
}


def recommender_of(kind, kept_at=None):
    torch.manual_seed(1)
    model = MODELS[kind]().eval().requires_grad_(requires_grad=False)
    loaded = LoadedLanguageModel(model, byte_tokenizer(), kind, "0")
    last = None if kept_at is None else 1
    return make_recommender(loaded, FinetuneConfig(lora=LoraSettings(last_layers=last)), kept_at)


def _branched(recommender, users=5, count=6):
    samples = tiny_samples(users)
    draw = np.random.default_rng(2)
    titles = [f'"{sample.output}"' for sample in tiny_samples(40, seed=3)]
    return recommender.encode_branched(samples, draw.choice(titles, (users, count)).tolist())


def _one_by_one(recommender, texts):
    """What the model itself says of each title's tokens."""
    losses = []
    for text in (plain for branched in texts for plain in branched.alone()):
        labels = torch.tensor(text.ids)
        labels[: text.answer] = -100
        with torch.no_grad():
            mean = recommender.loaded.model(torch.tensor([text.ids]), labels=labels[None]).loss
        losses.append(float(mean) * (len(text) - text.answer))
    return np.array(losses).reshape(len(texts), -1)


@pytest.mark.parametrize("kind", MODELS)
def test_titles_behind_one_prompt_have_the_loss_of_each_alone(kind):
    recommender = recommender_of(kind)
    texts = _branched(recommender)
    together = recommender.can_branch(max(texts, key=len))
    assert together is (kind != "alibi")  # its distances are those of places in the text
    exact = _one_by_one(recommender, texts)
    found = title_losses(recommender, texts, batch_tokens=700, together=together)
    np.testing.assert_allclose(found, exact, atol=1e-4, rtol=1e-5)
    alone = title_losses(recommender, texts, batch_tokens=700, together=False)
    np.testing.assert_allclose(alone, exact, atol=1e-4, rtol=1e-5)
    assert exact.std() > 1


@pytest.mark.parametrize("kind", ["llama", "window", "mixed windows"])
def test_titles_on_kept_layers_have_the_loss_of_each_alone(kind, tmp_path):
    recommender = recommender_of(kind, tmp_path)
    texts = _branched(recommender)
    recommender.keep([*texts, *texts[0].alone()])
    exact = _one_by_one(recommender, texts)
    found = title_losses(recommender, texts)
    np.testing.assert_allclose(found, exact, atol=1e-4, rtol=1e-5)
    again = recommender_of(kind, tmp_path)
    np.testing.assert_array_equal(title_losses(again, texts), found)  # read from the files
    elsewhere = title_losses(recommender, _branched(recommender, count=9), kept=False)
    assert elsewhere.shape == (5, 9)


def test_a_prompt_leaves_room_for_the_longest_of_its_titles():
    recommender = recommender_of("llama")
    (text,) = recommender.encode_branched(tiny_samples(1), [["short", "x" * 200]])
    tight = FinetuneConfig(max_tokens=len(text.prompt) + 150)
    cut = make_recommender(recommender.loaded, tight).encode_branched(
        tiny_samples(1), [["short", "x" * 200]]
    )[0]
    assert len(cut.prompt) + max(map(len, cut.answers)) == tight.max_tokens
    assert cut.answers == text.answers
