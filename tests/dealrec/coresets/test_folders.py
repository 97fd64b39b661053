"""Files of examples and folders of runs as coresets, with the format in which their texts are read."""

import json
from pathlib import Path

import pytest

from dealrec.config import FinetuneConfig, PruneConfig
from dealrec.config.prompt import PromptFormat
from dealrec.coresets.folders import coreset_folder, prompt_of
from dealrec.coresets.members import read_members
from dealrec.coresets.writer import MANIFEST, MEMBERS
from dealrec.errors import InputError
from dealrec.pipeline import finetune
from tests.dealrec.language_models.tiny import byte_tokenizer, tiny_model

TURNS = [{"role": "user", "content": "After A?"}, {"role": "assistant", "content": "B"}]


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    path = tmp_path / "examples.jsonl"
    path.write_text(json.dumps({"messages": TURNS}) + "\n")
    return path


def test_a_file_is_read_in_the_format_that_is_asked_for(examples: Path) -> None:
    hashes = set[str]()
    for asked in (None, *PromptFormat):
        with coreset_folder(examples, prompt_of(examples, asked)) as (folder, sha256):
            config = PruneConfig.parse(json.loads((folder / MANIFEST).read_text())["config"])
            assert config.prompt.format is (asked or PromptFormat.AUTO)
            (sample,) = read_members(folder / MEMBERS, config.prompt.format)
            assert (sample.format, sample.output) == (config.prompt.format, "B")
        hashes.add(sha256)
    assert len(hashes) == 3  # nothing asked for is `auto`


def test_a_folder_has_the_format_of_its_run(examples: Path, tmp_path: Path) -> None:
    asked = prompt_of(examples, PromptFormat.CHAT)
    with coreset_folder(examples, asked) as (folder, sha256):
        assert prompt_of(folder, None).format is PromptFormat.CHAT
        with coreset_folder(folder) as (again, same):
            assert (again, same) == (folder, sha256)
        with pytest.raises(InputError, match=r"coreset\.jsonl") as refused:
            prompt_of(folder, PromptFormat.PLAIN)
    assert refused.value.code == "prompt_format_is_set"


def test_a_model_without_a_chat_template_trains_on_no_chats(examples: Path, tmp_path: Path) -> None:
    tiny_model().save_pretrained(tmp_path / "model")
    byte_tokenizer().save_pretrained(tmp_path / "model")
    config = FinetuneConfig(model=str(tmp_path / "model"))
    with pytest.raises(InputError) as refused:
        finetune(examples, config=config, out=tmp_path / "out", prompt_format=PromptFormat.CHAT)
    assert refused.value.code == "no_chat_template"
    assert not (tmp_path / "out").exists()
