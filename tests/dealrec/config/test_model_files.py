"""Facts of a model from the heads of its files, and what they forbid."""

import struct
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import pytest

from dealrec.config.model_checks import model_facts, require_facts
from dealrec.config.model_files import UnusableFiles, folder_facts, gguf_facts
from dealrec.config.model_memory import working_bytes
from dealrec.config.model_use import ModelUse
from dealrec.errors import InputError
from tests.dealrec.config.model_heads import SHAPES, safetensors_folder


def test_a_folder_tells_its_family_its_size_and_its_layers(tmp_path: Path) -> None:
    facts = folder_facts(safetensors_folder(tmp_path))
    assert facts.family == "qwen3"
    assert facts.parameters == sum(map(prod, SHAPES.values()))
    assert facts.bytes == (tmp_path / "model.safetensors").stat().st_size
    assert [path.rpartition(".")[2] for path in facts.modules] == [
        "embed_tokens",
        "q_proj",
        "v_proj",
    ]
    assert (facts.embeddings, facts.tokens) == (50, 50)


@pytest.fixture
def gguf_file(tmp_path: Path) -> Path:
    """A whole file of a tiny Llama, written by the library of the format."""
    from gguf import GGUFWriter

    path = tmp_path / "tiny.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["a", "b", "c"])
    writer.add_array("some.numbers", [1.5, 2.5])
    writer.add_tensor("token_embd.weight", np.zeros((3, 4), np.float32))
    writer.add_tensor("blk.0.attn_q.weight", np.zeros((4, 4), np.float32))
    writer.add_tensor("blk.0.ffn_down.weight", np.zeros((4, 8), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_gguf_file_tells_the_same(gguf_file: Path) -> None:
    facts = gguf_facts([gguf_file])
    assert (facts.family, facts.parameters, facts.embeddings, facts.tokens) == ("llama", 60, 3, 3)
    assert facts.modules == ("model.layers.0.self_attn.q_proj", "model.layers.0.mlp.down_proj")
    assert facts.bytes == gguf_file.stat().st_size


def test_a_file_may_lie_in_parts(gguf_file: Path, tmp_path: Path) -> None:
    content = gguf_file.read_bytes()
    parts = [tmp_path / "tiny.gguf.part00", tmp_path / "tiny.gguf.part01"]
    for part, piece in zip(parts, (content[:500], content[500:]), strict=True):
        part.write_bytes(piece)
    whole, cut = gguf_facts([gguf_file]), gguf_facts(parts)
    assert cut == whole


def test_a_gguf_file_of_a_vocabulary_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 0) + bytes(8))
    with pytest.raises(UnusableFiles, match="has no weights"):
        gguf_facts([path])


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 0.9])
def test_a_gguf_file_that_is_cut_short_is_refused(gguf_file: Path, share: float) -> None:
    content = gguf_file.read_bytes()
    gguf_file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UnusableFiles, match="truncated"):
        gguf_facts([gguf_file])


def test_weights_that_are_cut_short_are_refused(tmp_path: Path) -> None:
    folder = safetensors_folder(tmp_path)
    weights = folder / "model.safetensors"
    for content in (weights.read_bytes()[:-1], weights.read_bytes()[:40], b"", b"\xff" * 99):
        weights.write_bytes(content)
        with pytest.raises(UnusableFiles, match="truncated"):
            folder_facts(folder)


@pytest.mark.parametrize(
    ("folder", "asked", "code"),
    [
        (
            {"config": {"model_type": "bert", "architectures": ["BertForMaskedLM"]}},
            {},
            "model_not_supported",
        ),
        ({"tokens": 51}, {}, "tokenizer_does_not_fit"),
        ({}, {"modules": ("c_attn",)}, "unknown_target_modules"),
        ({}, {"modules": ("up_proj",)}, "unknown_target_modules"),
        ({}, {"room": (1000, "this machine has")}, "not_enough_memory"),
        ({}, {"chat": True}, "no_chat_template"),
    ],
)
def test_what_cannot_work_is_refused_by_the_heads_alone(tmp_path, folder, asked, code) -> None:
    safetensors_folder(tmp_path, **folder)
    facts = model_facts(str(tmp_path))
    assert facts is not None
    with pytest.raises(InputError) as refused:
        use = ModelUse(str(tmp_path), modules=asked.get("modules", ()))
        require_facts(use, facts, room=asked.get("room", (None, "")), chat="chat" in asked)
    assert refused.value.code == code
    assert str(tmp_path) not in refused.value.detail


def test_what_can_work_passes(tmp_path: Path) -> None:
    facts = model_facts(str(safetensors_folder(tmp_path)))
    assert facts is not None
    need = 2 * facts.parameters
    for modules in (("auto",), ("all-linear",), ("q_proj", "self_attn.v_proj")):
        use = ModelUse(str(tmp_path), modules=modules, dtype="bfloat16")
        require_facts(use, facts, room=(need, ""))
    assert model_facts("some/one") is None


def test_the_estimate_of_memory_follows_the_work(tmp_path: Path) -> None:
    facts = model_facts("smollm2-135m")
    assert facts is not None
    assert (facts.layers, facts.width, len(facts.shapes)) == (30, 576, 210)
    weights = working_bytes(facts, ModelUse("smollm2-135m"))
    assert weights == 4 * facts.parameters
    effort = ModelUse("smollm2-135m", tokens=2048, max_tokens=512)
    training = replace(effort, modules=("auto",), rank=8)
    found = [working_bytes(facts, use) for use in (effort, training)]
    assert weights < found[0] < found[1]
    assert working_bytes(facts, replace(training, checkpointed=True)) < found[1]
    assert working_bytes(facts, replace(training, all_logits=True)) > found[1]
    assert working_bytes(facts, replace(training, tokens=256)) < found[1]
    assert working_bytes(facts, training, on_gpu=True) < found[1]
    wide = replace(training, modules=("all-linear",), rank=16)
    assert working_bytes(facts, wide) > found[1]
