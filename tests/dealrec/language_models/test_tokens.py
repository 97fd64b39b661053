import pytest

from dealrec.config.effort import LossSpan
from dealrec.data.prompts import PromptedSample
from dealrec.errors import InputError
from dealrec.language_models.tokens import Encoder, batches_by_tokens, loss_targets, padded
from tests.dealrec.language_models.tiny import byte_tokenizer, tiny_samples


def test_a_sample_is_its_prompt_its_answer_and_the_end_of_text():
    tokenizer = byte_tokenizer()
    (sample,) = tiny_samples(1)
    (encoded,) = Encoder(tokenizer, 512).encode([sample])
    prompt, answer = sample.prompt, sample.completion
    assert tokenizer.decode(encoded.ids[: encoded.answer]) == prompt
    assert tokenizer.decode(encoded.ids[encoded.answer : -1]) == answer
    assert encoded.ids[-1] == tokenizer.eos_token_id


def test_a_long_sample_loses_the_oldest_of_its_input_and_keeps_its_answer():
    tokenizer = byte_tokenizer()
    sample = PromptedSample.plain("Next?", "oldest " * 60 + "newest", "the answer")
    prompt, answer = sample.prompt, sample.completion
    (whole,) = Encoder(tokenizer, 10_000).encode([sample])
    limit = len(whole) - 100
    (cut,) = Encoder(tokenizer, limit).encode([sample])
    assert len(cut) == limit
    first = prompt.rfind(sample.history)
    assert tokenizer.decode(cut.ids[: cut.answer]) == prompt[:first] + prompt[first + 100 :]
    assert tokenizer.decode(cut.ids[cut.answer : -1]) == answer


def test_an_answer_that_does_not_fit_is_refused():
    sample = PromptedSample.plain("Next?", "x", "an answer longer than that")
    with pytest.raises(InputError) as refusal:
        Encoder(byte_tokenizer(), 16).encode([sample])
    assert refusal.value.code == "max_tokens_too_small"


@pytest.mark.parametrize("loss_on", LossSpan)
def test_targets_are_the_tokens_of_the_span_without_padding(loss_on):
    import torch

    encoded = Encoder(byte_tokenizer(), 512).encode(tiny_samples(5))
    tokens = padded(encoded, 256, torch.device("cpu"))
    targets = loss_targets(tokens, encoded, loss_on)
    expected = [token for e in encoded for token in e.ids[e.first_label(loss_on) :]]
    assert targets.labels.tolist() == expected


def test_batches_hold_every_sample_once_within_the_budget():
    lengths = [5, 90, 40, 41, 7, 300, 5, 5]
    batches = batches_by_tokens(lengths, 100)
    assert sorted(index for batch in batches for index in batch) == list(range(8))
    assert all(len(b) * max(lengths[i] for i in b) <= 100 or len(b) == 1 for b in batches)
    assert batches[0] == [5]
