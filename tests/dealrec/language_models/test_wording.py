"""Turns in a chat template: the tokens and the loss are those of TRL, token by token."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers
from transformers import PreTrainedTokenizerFast

from dealrec.config.prompt import PromptFormat
from dealrec.data.prompts import Message, PromptedSample, Role
from dealrec.errors import InputError
from dealrec.language_models.tokens import Encoder
from tests.dealrec.language_models.tiny import byte_tokenizer, tiny_model, tiny_samples

TRL = import_module("trl")
TEMPLATES = Path(str(TRL.__file__)).parent / "chat_templates"
CHAT_TEMPLATES = {
    "Llama": "llama3",
    "Qwen2": "qwen2_5",
    "Qwen2-MoE": "qwen2_5",
    "Qwen3": "qwen3",
    "Qwen3-MoE": "qwen3",
    "Gemma": "gemma",
    "Gemma 2": "gemma",
    "Gemma 3": "gemma3",
    "Phi-3": "phi3",
    "Cohere": "cohere",
}
"""The chat template that TRL ships for a family of the table of families."""
FAMILIES = [*dict.fromkeys(CHAT_TEMPLATES.values()), "deepseek_r1_distill"]
NO_SYSTEM = ("gemma",)
"""Templates that take no system turn."""
MARKS = ["<|im_start|>", "<|im_end|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]
SYSTEM = Message(Role.SYSTEM, "You know films.")


def chat_tokenizer(family="qwen2_5"):
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": MARKS})
    tokenizer.chat_template = (TEMPLATES / f"{family}.jinja").read_text()
    tokenizer.bos_token = "<|end|>"
    return tokenizer


def pieces_tokenizer():
    """A tokenizer in the manner of Llama 2: the space before a word belongs to it, also at the start."""
    vocabulary = {
        "<unk>": 0,
        "</s>": 1,
        **{chr(code): code - 30 for code in range(32, 127)},
        "▁": 97,
    }
    vocabulary |= {"\n": 98, "[": 61, "▁a": 99, "▁f": 100, "▁[": 101}
    pieces = models.BPE(
        vocab=vocabulary, merges=[("▁", "a"), ("▁", "f"), ("▁", "[")], unk_token="<unk>"
    )
    tokenizer = Tokenizer(pieces)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Replace("▁", " ")
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", pad_token="</s>")
    fast.chat_template = (
        "{% for m in messages %}{% if m.role == 'assistant' %} {{ m.content }}{{ eos_token }}"
        "{% else %}[INST] {{ m.content }} [/INST]{% endif %}{% endfor %}"
    )
    return fast


def chats(count=4, *, system=True):
    earlier = (SYSTEM,) if system else ()
    return [
        replace(sample, earlier=earlier, format=PromptFormat.CHAT) for sample in tiny_samples(count)
    ]


def tokenized_by_trl(tokenizer, samples, **options):
    """The tokens and labels that TRL's trainer makes of the same conversations."""
    made_of = import_module("datasets").Dataset.from_list
    rows = [[{"role": t.role.value, "content": t.content} for t in s.messages] for s in samples]
    if options.get("assistant_only_loss"):
        data = made_of([{"messages": row} for row in rows])
    else:
        data = made_of([{"prompt": row[:-1], "completion": row[-1:]} for row in rows])
    settings = TRL.SFTConfig(
        report_to=[], use_cpu=True, max_length=None, dataset_num_proc=None, **options
    )
    model = tiny_model()
    model.resize_token_embeddings(len(tokenizer))
    made = TRL.SFTTrainer(model, args=settings, train_dataset=data, processing_class=tokenizer)
    return [(row["input_ids"], row["labels"]) for row in made.train_dataset]


def labels_of(encoded):
    return [-100] * encoded.answer + encoded.ids[encoded.answer :]


@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_and_labels_are_those_of_trl(family):
    tokenizer = chat_tokenizer(family)
    samples = chats(system=family not in NO_SYSTEM)
    encoded = Encoder(tokenizer, 4096).encode(samples)
    theirs = tokenized_by_trl(tokenizer, samples)
    assert [(one.ids, labels_of(one)) for one in encoded] == theirs


def test_the_loss_is_on_the_turn_of_the_assistant_as_trl_masks_it():
    tokenizer = chat_tokenizer("qwen3")
    samples = chats()
    encoded = Encoder(tokenizer, 4096).encode(samples)
    theirs = tokenized_by_trl(tokenizer, samples, assistant_only_loss=True)
    for one, (ids, labels) in zip(encoded, theirs, strict=True):
        assert one.ids == ids
        # TRL's template for training leaves out the line end behind the turn, and nothing else.
        assert (
            tokenizer.decode(one.ids[one.answer :]).rstrip("\n")
            in tokenizer.decode([label for label in labels if label != -100]) + "\n"
        )


def test_without_words_that_open_a_turn_the_answer_follows_the_prompt():
    tokenizer = pieces_tokenizer()
    samples = chats(system=False)
    encoded = Encoder(tokenizer, 4096).encode(samples)
    assert [(one.ids, labels_of(one)) for one in encoded] == tokenized_by_trl(tokenizer, samples)


def test_several_answers_follow_one_prompt_as_each_does_alone():
    tokenizer, samples = chat_tokenizer(), chats(3)
    encoder, outputs = Encoder(tokenizer, 4096), ["red fox", "quiet", "snow over hills"]
    branched = encoder.encode_branched(samples, [outputs] * 3)
    for sample, text in zip(samples, branched, strict=True):
        alone = encoder.encode([sample.answered(output) for output in outputs])
        assert [one.ids for one in text.alone()] == [one.ids for one in alone]


def test_a_long_chat_loses_the_oldest_of_its_history_and_keeps_its_marks():
    tokenizer = chat_tokenizer()
    sample = replace(
        PromptedSample("Watched: ", "oldest " * 40 + "newest", "\nNext?", "Dune"),
        earlier=(SYSTEM,),
        format=PromptFormat.CHAT,
    )
    (whole,) = Encoder(tokenizer, 4096).encode([sample])
    (cut,) = Encoder(tokenizer, len(whole) - 70).encode([sample])
    assert tokenizer.decode(cut.ids) == tokenizer.decode(whole.ids).replace("oldest " * 10, "", 1)
    with pytest.raises(InputError, match="the words around the history") as refused:
        Encoder(tokenizer, 40).encode([sample])
    assert refused.value.code == "max_tokens_too_small"


def test_auto_is_plain_unless_the_catalogue_says_chat():
    tokenizer, samples = chat_tokenizer(), tiny_samples(3)
    plain = Encoder(byte_tokenizer(), 4096).encode(samples)
    assert Encoder(tokenizer, 4096).encode(samples) == plain
    chat = [replace(sample, format=PromptFormat.CHAT) for sample in samples]
    assert Encoder(tokenizer, 4096, chat=True).encode(samples) == Encoder(tokenizer, 4096).encode(
        chat
    )


def test_a_model_without_a_template_and_a_template_that_refuses_turns_are_said():
    with pytest.raises(InputError, match="has no chat template") as refused:
        Encoder(byte_tokenizer(), 512).encode(chats())
    assert refused.value.code == "no_chat_template"
    with pytest.raises(InputError, match="System role not supported") as refused:
        Encoder(chat_tokenizer("gemma"), 512).encode(chats())
    assert refused.value.code == "chat_template_not_usable"
