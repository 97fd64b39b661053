"""A Llama small enough to differentiate sample by sample, with a tokenizer of single bytes."""

import random

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from dealrec.data.prompts import PromptedSample
from dealrec.language_models import LoadedLanguageModel
from dealrec.language_models.tokens import Encoder

WORDS = ("red", "fox", "ran", "over", "hills", "of", "quiet", "snow")


def byte_tokenizer() -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: index for index, character in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|end|>"
    )


def tiny_model(width: int = 16, heads: int = 4, seed: int = 0) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=260,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=3,
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
        max_position_embeddings=1024,
        initializer_range=0.3,
        pad_token_id=256,
        eos_token_id=256,
    )
    return LlamaForCausalLM(config).eval()


def tiny_loaded(width: int = 16, heads: int = 4) -> LoadedLanguageModel:
    model = tiny_model(width, heads).requires_grad_(requires_grad=False)
    return LoadedLanguageModel(model, byte_tokenizer(), "tiny", "0")


def tiny_samples(count: int, seed: int = 0) -> list[PromptedSample]:
    """Samples of quite different lengths."""
    draw = random.Random(seed)
    return [
        PromptedSample.plain(
            "Name the next one.",
            ", ".join(draw.choices(WORDS, k=draw.randint(1, 8))),
            " ".join(draw.choices(WORDS, k=draw.randint(1, 3))),
        )
        for _ in range(count)
    ]


def tiny_prompts(loaded: LoadedLanguageModel, count: int) -> list[list[int]]:
    """The prompts of as many samples, as tokens."""
    encoded = Encoder(loaded.tokenizer, 512).encode(tiny_samples(count))
    return [sample.ids[: sample.answer] for sample in encoded]
