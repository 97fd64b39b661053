"""Brings a pinned commit of a repository from the Hugging Face hub: its weights, its tokenizer, no code."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dealrec.config.language_models import hub_cache, not_available
from dealrec.config.model_entry import LanguageModel
from dealrec.config.model_files import UnusableFiles, weight_files
from dealrec.errors import InputError
from dealrec.language_models.quiet import quiet_transformers

_WANTED = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
_UNWANTED = ("*/*",)
"""Other formats of the same weights lie in folders of their own."""


def pull(entry: LanguageModel) -> Path:
    """Download the files of an entry with a repository, as far as they are not here; return their folder.

    They go where huggingface_hub keeps its files (``HF_HOME``). Tokens for gated repositories are read from
    ``HF_TOKEN``, or from where ``hf auth login`` puts them.

    Raises:
        InputError: ``nothing_to_pull`` if the model is no repository; ``model_not_available`` if the hub
            does not answer, does not give it, or has no weights in safetensors or GGUF.
    """
    from huggingface_hub import snapshot_download

    if entry.repository is None:
        raise InputError(
            (
                f"The source of the model `{entry.name}` is a {entry.source}, not a repository, so there "
                "is nothing to download."
            ),
            code="nothing_to_pull",
            title="The model does not come from a repository",
        )
    wanted = list(_WANTED) if entry.file is None else [entry.file]
    with _talking_to_hub(entry.name, entry.repository):
        found = snapshot_download(
            entry.repository,
            revision=entry.revision,
            allow_patterns=wanted,
            ignore_patterns=list(_UNWANTED),
            cache_dir=hub_cache(),
            endpoint=os.environ.get("HF_ENDPOINT") or None,
        )
    folder = Path(str(found))
    if entry.file is None:
        try:
            weight_files(folder)
        except UnusableFiles as error:
            raise not_available(entry.name, str(error)) from None
    elif not (folder / entry.file).is_file():
        raise not_available(entry.name, f"the repository has no file {entry.file}")
    return folder


def pinned_commit(name: str, repository: str, revision: str) -> str:
    """Ask the hub for the commit that a branch or a tag of a repository stands at.

    Raises:
        InputError: ``model_not_available``.
    """
    from huggingface_hub import HfApi

    with _talking_to_hub(name, repository):
        api = HfApi(os.environ.get("HF_ENDPOINT") or None)
        commit = api.model_info(repository, revision=revision).sha
    if commit is None:
        raise not_available(name, f"{repository} has no revision `{revision}`")
    return str(commit)


@contextmanager
def _talking_to_hub(name: str, repository: str) -> Iterator[None]:
    import httpx
    from huggingface_hub import errors

    unreachable: tuple[type[Exception], ...] = (httpx.HTTPError,)  # of huggingface_hub 1
    with suppress(ImportError):
        import httpx2

        unreachable += (httpx2.HTTPError,)  # of huggingface_hub 2
    with quiet_transformers():
        try:
            yield
        except errors.GatedRepoError:
            reason = (
                f"{repository} is gated: accept its terms on the Hugging Face Hub, and set HF_TOKEN"
            )
        except errors.RepositoryNotFoundError:
            reason = (
                f"the Hugging Face Hub has no repository {repository}, or HF_TOKEN does not give access to "
                "it"
            )
        except errors.RevisionNotFoundError:
            reason = f"{repository} has no such revision"
        except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled):
            reason = "the Hugging Face Hub cannot be reached"
        except errors.HfHubHTTPError as error:
            reason = f"the Hugging Face Hub answered with status {error.response.status_code}"
        except unreachable:
            reason = "the Hugging Face Hub cannot be reached"
        except OSError as error:
            reason = f"its files cannot be written: {error.strerror}"
        else:
            return
    raise not_available(name, reason)
