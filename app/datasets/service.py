"""The rules of data sets."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.compute as pc
from sqlalchemy.orm import Session

from dealrec.app.datasets.addresses import AddressedFile, allowed_files
from dealrec.app.datasets.common_names import ReadFile, common_names, read_files
from dealrec.app.datasets.repository import DatasetRepository
from dealrec.app.datasets.schemas import DatasetCreate, NamedFiles, SampleText
from dealrec.app.datasets.uploads import DatasetUpload, SourceFile, upload_from_files
from dealrec.app.kit.database import database_now
from dealrec.app.kit.errors import Conflict, InUse, NotFound
from dealrec.app.kit.ids import new_id
from dealrec.app.kit.pagination import PageRequest, Slice
from dealrec.app.kit.storage import Storage
from dealrec.app.quotas.service import require_room
from dealrec.app.removal import Removal
from dealrec.app.settings import Settings
from dealrec.app.stages.queueing import plan_ingest
from dealrec.app.stages.transitions import lock_dataset
from dealrec.app.tables.datasets import DatasetRow, DatasetState, StoredFile, stored_files
from dealrec.app.tables.jobs import ENDED_JOBS, JobRow
from dealrec.app.uploads.service import WholeFile, whole_file
from dealrec.config import DataOptions, PromptConfig, PruneConfig, Sampling
from dealrec.config.data import OF_READING
from dealrec.data.dataset import Dataset
from dealrec.data.growth import came_with_samples
from dealrec.data.prompter import Prompter
from dealrec.data.samples import Samples, build_samples


class StoredUpload:
    """An upload whose files are stored under the id that its row will have."""

    def __init__(self, storage: Storage, tenant_id: str, upload: DatasetUpload) -> None:
        self.dataset_id = new_id("ds")
        self.upload = upload
        self.prefix = f"datasets/{tenant_id}/{self.dataset_id}"
        self._storage = storage
        try:
            self.files: dict[str, StoredFile | None] = {
                role: self._put_all(role, files) for role, files in upload.files.items()
            }
        except Exception:
            self.discard()
            raise

    def discard(self) -> None:
        """Remove the files, because their row will not be made."""
        self._storage.delete_prefix(self.prefix)

    def _put_all(self, name: str, files: Sequence[SourceFile]) -> StoredFile:
        renamed = self.upload.renamed.get(name) or [{}] * len(files)
        first, *further = (
            self._named_otherwise(self._put(f"{name}-{at}" if at else name, file), names)
            for at, (file, names) in enumerate(zip(files, renamed, strict=True))
        )
        return {**first, "further": further} if further else first

    @staticmethod
    def _named_otherwise(file: StoredFile, renamed: Mapping[str, str]) -> StoredFile:
        return {**file, "renamed": dict(renamed)} if renamed else file

    def _put(self, name: str, file: SourceFile) -> StoredFile:
        if isinstance(file, AddressedFile):
            return {"key": "", "filename": file.filename, "bytes": 0, "address": file.address}
        key = f"{self.prefix}/uploads/{name}"
        if isinstance(file, WholeFile):
            self._storage.copy_file(file.key, key)
        else:
            self._storage.put_file(key, file.path)
        return {"key": key, "filename": file.filename, "bytes": file.bytes}


def add_dataset(
    session: Session, tenant_id: str, stored: StoredUpload, parent: DatasetRow | None = None
) -> DatasetRow:
    """Add the row of an upload and queue its ingest; raises :class:`QuotaExceeded`.

    With ``parent``, a ready data set that is locked, the files are appended to that.
    """
    upload = stored.upload
    stored_bytes = sum(
        one["bytes"] for file in stored.files.values() if file for one in stored_files(file)
    )
    require_room(session, tenant_id, stored_bytes)
    options = upload.options.asked()
    if (
        parent is not None
    ):  # what is at its default again must be said, for an append begins with the parent's
        again = set(OF_READING) & parent.options.keys()
        options |= upload.options.model_dump(mode="json", include=again)
    row = DatasetRow(
        id=stored.dataset_id,
        tenant_id=tenant_id,
        name=upload.name,
        state=DatasetState.VALIDATING.value,
        split=upload.options.split,
        options=options,
        uploads=stored.files,
        stored_bytes=stored_bytes,
        created_at=database_now(session),
    )
    if parent is not None:
        row.split = parent.split
        row.version, row.parent_id = parent.version + 1, parent.id
        row.parent_sha256, row.root_id = parent.sha256, parent.root_id or parent.id
    plan_ingest(session, row)
    return row


def upload_of(
    session: Session, tenant_id: str, body: DatasetCreate, files: Mapping[str, Sequence[SourceFile]]
) -> DatasetUpload:
    """Make a request for a data set from ``files`` and those of the data set that it may name."""
    if body.source_dataset_id is None:
        return upload_from_files(body, files)
    return _read_again(DatasetRepository(session, tenant_id), body, files)


def _read_again(
    repository: DatasetRepository,
    body: DatasetCreate,
    replaced: Mapping[str, Sequence[SourceFile]],
) -> DatasetUpload:
    """Make a request for a data set from the files of another, with its name and options by default.

    The files of a later version are those of all versions up to it. ``replaced`` take the place of the files
    of their kind. Raises :class:`Conflict` (``files_gone``) if the others are not kept any more, and
    :class:`InputError`.
    """
    source = repository.get(str(body.source_dataset_id))
    versions = repository.lineage(source)
    if versions is None:
        raise Conflict(
            (
                "A version on which this data set is based was deleted together with its files. Send the "
                "files again."
            ),
            code="files_gone",
        )
    kept: dict[str, list[SourceFile]] = {}
    read: dict[str, list[ReadFile]] = {}
    for version in versions:
        for role, file in version.uploads.items():
            if file and role not in replaced:
                kept.setdefault(role, []).extend(_sources(file))
                read.setdefault(role, []).extend(read_files(version, role, file))
    gone = source.prefix is None and source.state == DatasetState.REJECTED
    if not (kept or replaced) or (kept and gone):
        raise Conflict(
            "The files of this rejected data set have been deleted. Send them again.",
            code="files_gone",
        )
    named = body.model_fields_set & {"options", "columns", "split"}
    changes: dict[str, object] = {} if named else {"options": DataOptions.parse(source.options)}
    if body.name is None:
        changes["name"] = source.name
    upload = upload_from_files(body.model_copy(update=changes), {**kept, **replaced})
    renamed = {
        role: common_names(files, upload.options, role, asked=bool(named))
        for role, files in read.items()
    }
    return replace(upload, renamed=renamed)


def named_files(
    session: Session, settings: Settings, tenant_id: str, body: NamedFiles, roles: Iterable[str]
) -> dict[str, list[SourceFile]]:
    """The files that a request names of each kind, where it names any.

    Raises :class:`InputError` (``address_not_allowed``), and as :func:`whole_file` does.
    """
    found = {role: _named(session, settings, tenant_id, body, role) for role in roles}
    return {role: files for role, files in found.items() if files}


def _named(
    session: Session, settings: Settings, tenant_id: str, body: NamedFiles, role: str
) -> list[SourceFile]:
    addresses = getattr(body, f"{role}_addresses")
    if addresses is not None:
        return [*allowed_files(settings, addresses, f"{role}_addresses")]
    one, several = getattr(body, f"{role}_upload_id"), getattr(body, f"{role}_upload_ids")
    location = f"{role}_upload_id" if several is None else f"{role}_upload_ids"
    ids = several if one is None else [one]
    return [whole_file(session, tenant_id, upload, location) for upload in ids or ()]


def _sources(file: StoredFile) -> list[SourceFile]:
    return [
        AddressedFile(one["address"])
        if "address" in one
        else WholeFile(one["key"], one["filename"], one["bytes"])
        for one in stored_files(file)
    ]


def list_datasets(session: Session, tenant_id: str, request: PageRequest) -> Slice[DatasetRow]:
    """List the data sets, newest first."""
    repository = DatasetRepository(session, tenant_id)
    return repository.page(repository.query(), request)


def delete_dataset(removal: Removal, dataset_id: str, *, cascade: bool) -> None:
    """Remove the data set; ``cascade`` also removes its ended jobs and their results.

    Raises :class:`InUse` with the jobs that depend on it, and :class:`Conflict` (``validating``)
    while a worker reads the files.
    """
    repository = DatasetRepository(removal.session, removal.tenant_id)
    dataset = lock_dataset(removal.session, repository.get(dataset_id).id)
    jobs = repository.jobs(dataset)
    active = [job for job in jobs if job.state not in ENDED_JOBS]
    if active or (jobs and not cascade):
        raise InUse(
            f"Jobs that have not ended use the data set ({len(active)}). Cancel them first."
            if active
            else f"Jobs were made on the data set ({len(jobs)}). Delete them first, or use cascade=true.",
            [_dependent(job) for job in active or jobs],
        )
    if appends := repository.validating_appends(dataset):
        raise InUse(
            "Files are being appended to the data set. Try again when that has ended, or delete the "
            "new version first.",
            [{"object": "dataset", "id": row.id, "state": row.state} for row in appends],
        )
    if repository.ingest_runs(dataset):
        raise Conflict("The data set is being checked. Try again shortly.", code="validating")
    for job in jobs:
        removal.job(job, cascade=True)
    removal.prefixes.append(f"datasets/{removal.tenant_id}/{dataset.id}")
    removal.artifact_ids.update(repository.artifact_ids(dataset))
    repository.delete(dataset)
    removal.removed.append(("dataset", dataset.id))


def require_ready(dataset: DatasetRow) -> str:
    """Return the storage prefix of a ready data set; raises :class:`Conflict` (``dataset_not_ready``)."""
    if dataset.state != DatasetState.READY or dataset.prefix is None:
        raise Conflict(
            f"The data set is not ready; its state is `{dataset.state}`.",
            code="dataset_not_ready",
            state=dataset.state,
        )
    return dataset.prefix


def require_appendable(dataset: DatasetRow) -> None:
    """Check, before any file is sent, that rows can be appended to the data set.

    Raises :class:`Conflict` (``dataset_not_ready``), :class:`InputError` (``append_not_possible``).
    """
    require_ready(dataset)
    if (dataset.counts or {}).get("samples_given"):
        raise came_with_samples()


def sample_texts(folder: Path, sampling: Sampling, request: PageRequest) -> Slice[SampleText]:
    """Return a page of the samples of the stored data set in ``folder``, in dense order."""
    dataset = Dataset.load(folder)
    samples = build_samples(dataset, sampling)
    prompter = Prompter(dataset, samples, PromptConfig())
    first = 0 if request.after is None else (request.position() or 0) + 1
    indices = range(min(first, len(samples)), min(first + request.limit + 1, len(samples)))
    kept = indices[: request.limit]
    keys = samples.keys(dataset).slice(kept.start, len(kept)).to_pylist()
    texts = [
        sample_text(dataset, samples, prompter, key, index)
        for key, index in zip(keys, kept, strict=True)
    ]
    return Slice(texts, str(kept[-1]) if len(indices) > len(kept) else None)


def find_sample(folder: Path, config: PruneConfig, sample_key: str) -> SampleText:
    """Find a sample of the stored data set in ``folder`` by its key; ``config`` is that of a job.

    Raises :class:`NotFound` if no sample has the key.
    """
    dataset = Dataset.load(folder)
    samples = build_samples(dataset, config.sampling, config.min_history)
    index = pc.index(samples.keys(dataset), sample_key).as_py()
    if index < 0:
        raise NotFound.of("sample", sample_key)
    prompter = Prompter(dataset, samples, config.prompt)
    return sample_text(dataset, samples, prompter, sample_key, index)


def sample_text(
    dataset: Dataset, samples: Samples, prompter: Prompter, sample_key: str, index: int
) -> SampleText:
    """Return sample ``index``, whose key is ``sample_key``, in the words of ``prompter``."""
    prompted = prompter.prompt(index)
    return SampleText(
        sample_key=sample_key,
        user_id=dataset.user_ids[int(samples.users[index])].as_py(),
        history=[dataset.item_ids[int(item)].as_py() for item in samples.history(index)],
        target=dataset.item_ids[int(samples.targets[index])].as_py() if samples.has_ids else None,
        instruction=prompted.instruction,
        input=prompted.input,
        output=prompted.output,
    )


def _dependent(job: JobRow) -> dict[str, str]:
    return {"object": "job", "id": job.id, "state": job.state}
