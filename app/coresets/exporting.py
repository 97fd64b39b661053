"""Coresets as files to take away, with configurations of trainers where these are asked for."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from dealrec.app.coresets.service import MEMBERS
from dealrec.app.jobs.repository import JobRepository
from dealrec.app.kit.repository import TenantRepository
from dealrec.app.kit.storage import Storage
from dealrec.app.tables.adapters import AdapterRow
from dealrec.app.tables.coresets import CoresetRow
from dealrec.config import FinetuneConfig, PruneConfig
from dealrec.coresets.exports import write_export, zip_export
from dealrec.coresets.formats import CoresetFormat, write_format


class _Adapters(TenantRepository[AdapterRow]):
    """A tenant's adapters, whose area stands above this one."""

    model = AdapterRow
    noun = "adapter"


@dataclass(frozen=True)
class WantedExport:
    """The export of a coreset."""

    coreset_id: str
    prefix: str
    format: CoresetFormat
    config: FinetuneConfig | None
    """The fine-tuning that configurations beside the data repeat; ``None`` for the data alone."""

    @property
    def media_type(self) -> str:
        return self.format.media_type if self.config is None else "application/zip"

    @property
    def name(self) -> str:
        """The name of the file that people get."""
        what = f".{self.format}" if self.format.for_training else ""
        return f"{self.coreset_id}{what}{self.format.suffix if self.config is None else '.zip'}"

    def write(self, storage: Storage, folder: Path) -> Path:
        """Write the file into ``folder`` and return its path."""
        members, path = storage.fetch_file(f"{self.prefix}/{MEMBERS}", folder), folder / "download"
        if self.config is None:
            with path.open("wb") as file:
                write_format(members, self.format, file)
            return path
        out = folder / "export"
        out.mkdir()
        title = f"Coreset {self.coreset_id}"
        zip_export(write_export(members, self.format, self.config, out, title=title), path)
        return path


def wanted_export(
    session: Session,
    coreset: CoresetRow,
    format: CoresetFormat,  # noqa: A002
    *,
    configurations: bool,
    adapter_id: str | None,
) -> WantedExport:
    """Find out what is asked for.

    The configurations repeat the fine-tuning of the adapter ``adapter_id``, else that of the coreset's
    job, else the defaults. Raises :class:`NotFound`.
    """
    config = None
    if adapter_id is not None:
        adapter = _Adapters(session, coreset.tenant_id).get(adapter_id)
        config = FinetuneConfig.parse(adapter.config)
    elif configurations or format.is_folder:
        job = JobRepository(session, coreset.tenant_id).get(coreset.job_id)
        config = PruneConfig.parse(job.config).finetune or FinetuneConfig()
    return WantedExport(coreset.id, coreset.prefix, format, config)
