"""The rules of language models: who sees which, who changes the catalogue, and what a job may ask of one."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from sqlalchemy.orm import Session

from dealrec.app.kit.errors import Conflict, InUse, NotFound, PermissionDenied
from dealrec.app.models.repository import open_jobs
from dealrec.app.settings import Settings
from dealrec.config import PruneConfig
from dealrec.config.catalogue import adding, catalogue, removing
from dealrec.config.language_models import available, unknown_model
from dealrec.config.model_checks import model_facts, require_facts
from dealrec.config.model_entry import LanguageModel
from dealrec.config.model_memory import has_gpu, machine_bytes
from dealrec.config.model_use import asks_for_chat
from dealrec.config.stages import StageSpec
from dealrec.errors import InputError
from dealrec.extras import Extra, missing


def visible(tenant_id: str) -> dict[str, LanguageModel]:
    """Return the models that the tenant may use, by name."""
    return {name: entry for name, entry in catalogue().items() if entry.allows(tenant_id)}


def require_known_model(name: str, location: str, tenant_id: str) -> None:
    """Raise :class:`InputError` (``unknown_model``) if the tenant has no model of this name."""
    known = visible(tenant_id)
    if name not in known:
        raise unknown_model(name, known, location)


def require_usable_models(
    stages: Sequence[StageSpec], config: PruneConfig, settings: Settings
) -> None:
    """Check the models of a job by the heads of their files, before the job is made.

    A model that is not on this machine passes where workers are on others, and where its content is known
    without its files.

    Raises :class:`InputError`: ``model_not_available``, ``model_not_supported``,
    ``unknown_target_modules``, ``tokenizer_does_not_fit``, ``no_chat_template``, ``not_enough_memory``.
    """
    elsewhere = bool(settings.broker_url or missing(Extra.WORKER))
    for spec in stages:
        use = spec.language_model(config)
        entry = None if use is None else catalogue().get(use.model)
        if use is None or entry is None:
            continue
        if elsewhere and entry.revision is not None and not available(entry):
            continue
        facts = model_facts(use.model)
        assert facts is not None
        on_gpu, room = _room(settings, elsewhere=elsewhere)
        chat = asks_for_chat(use, config.prompt)
        require_facts(use, facts, chat=chat, on_gpu=on_gpu, room=room)


def _room(settings: Settings, *, elsewhere: bool) -> tuple[bool, tuple[int | None, str]]:
    """Return whether a GPU holds models, and the memory of a stage as far as this process knows it."""
    if settings.device == "cuda" or (settings.device == "auto" and has_gpu()):
        return True, (None, "")
    if settings.stage_memory_bytes is not None:
        return False, (settings.stage_memory_bytes, "a stage may take")
    return False, (None if elsewhere else machine_bytes(), "this machine has")


def get_model(name: str, tenant_id: str) -> LanguageModel:
    """Return a model that the tenant may use; raises :class:`NotFound`."""
    entry = visible(tenant_id).get(name)
    if entry is None:
        raise NotFound.of("language model", name)
    return entry


def own_names(tenant_id: str) -> set[str]:
    """Return the names of the models that the tenant may remove."""
    return {name for name, entry in visible(tenant_id).items() if _own(entry, tenant_id)}


@contextmanager
def adding_model(entry: LanguageModel) -> Iterator[None]:
    """Write the entry into the catalogue when the block, which commits the request, has ended well.

    Raises :class:`Conflict` (``model_exists``).
    """
    with ExitStack() as changes:
        try:
            changes.enter_context(adding(entry))
        except InputError as error:
            raise Conflict(
                f"The name `{entry.name}` is already used. Choose another name.",
                code="model_exists",
                errors=error.errors,
            ) from None
        yield


@contextmanager
def removing_model(name: str, tenant_id: str) -> Iterator[None]:
    """Take a model of the tenant's own out of the catalogue when the block has ended well.

    Raises :class:`NotFound`, and :class:`PermissionDenied` (``not_yours``) for models that are built in or
    that the operator gave to others too.
    """
    entry = get_model(name, tenant_id)
    if not _own(entry, tenant_id):
        raise PermissionDenied(
            (
                f"The model `{name}` was not added by this tenant. Only the operator of the server can "
                "remove it."
            ),
            code="not_yours",
        )
    with removing(name):
        yield


def require_unused(session: Session, name: str, tenant_id: str) -> None:
    """Raise :class:`InUse` while jobs use the model."""
    users = [
        identifier for identifier, config in open_jobs(session, tenant_id) if _names(config, name)
    ]
    if users:
        raise InUse(
            (
                f"Jobs that have not ended use the model `{name}` ({len(users)}). Wait until they end, or "
                "cancel them."
            ),
            [{"object": "job", "id": identifier} for identifier in users],
        )


def _own(entry: LanguageModel, tenant_id: str) -> bool:
    return entry.repository is not None and entry.tenants == (tenant_id,)


def _names(config: Mapping[str, Any], name: str) -> bool:
    """Whether a job's configuration, or a part of it, has the model."""
    parts = [value for value in config.values() if isinstance(value, Mapping)]
    return config.get("model") == name or any(_names(part, name) for part in parts)
