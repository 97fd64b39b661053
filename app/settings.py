"""Every setting of service and workers, read from the environment (prefix ``DEALREC_``)."""

from functools import cached_property
from pathlib import Path

from limits import parse_many
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """One class; each field with its docstring."""

    model_config = SettingsConfigDict(
        env_prefix="DEALREC_", extra="ignore", use_attribute_docstrings=True
    )

    data_dir: Path = Path("data")
    """Folder of the embedded shape: the SQLite file, stored files, scratch space."""

    database_url: str | None = None
    """SQLAlchemy URL (``postgresql+psycopg://…``); the default is SQLite in ``data_dir``."""

    broker_url: str | None = None
    """Celery broker (``redis://…``); without one, the embedded worker polls the database."""

    storage_url: str | None = None
    """Where artifacts live (``file:///…``, ``s3://bucket/prefix``); the default is ``data_dir/storage``."""

    bootstrap_key: SecretStr | None = None
    """An API key (``dr_…``) that is made valid for the tenant ``default`` at start."""

    require_keys: bool | None = None
    """Whether API keys are asked for; unset: yes exactly when a key exists or ``bootstrap_key`` is set."""

    rate_limit: str | None = None
    """Most requests of one key, as ``600/minute`` or ``10/second;6000/hour``; where there are no keys,
    of one address. ``none``: no limit. Unset: ``6000/minute`` for keys, no limit without keys."""

    quota_stored_bytes: int | None = Field(None, ge=0)
    """Bytes that a tenant may have in storage, unless ``dealrec tenants set`` says otherwise. Unset: no
    limit."""

    quota_open_jobs: int | None = Field(None, ge=0)
    """Jobs of a tenant that may be open (not ended) at once, likewise."""

    quota_gpu_seconds: float | None = Field(None, ge=0)
    """Seconds that stages of a tenant may use a GPU within ``quota_gpu_days``, likewise."""

    quota_gpu_days: float = Field(30.0, gt=0)
    """The days, up to now, over which GPU seconds are counted."""

    audit_days: float = Field(365.0, gt=0)
    """How long the audit trail is kept."""

    metrics_open: bool = False
    """Whether ``/metrics`` is answered without a key (else to keys with the scope ``admin``)."""

    max_upload_bytes: int = Field(4 * 2**30, gt=0)
    """Largest body of an upload, counted while it streams."""

    max_json_bytes: int = Field(2**20, gt=0)
    """Largest body of any other request."""

    upload_part_bytes: int = Field(16 * 2**20, gt=0)
    """Bytes of a part of a resumable upload."""

    idempotency_hours: float = Field(24.0, gt=0)
    """How long the answer under an ``Idempotency-Key`` is kept."""

    event_days: float = Field(30.0, gt=0)
    """How long the events of ended jobs are kept."""

    upload_hours: float = Field(24.0, gt=0)
    """How long an upload is kept, complete or not; data sets made from it stay."""

    lease_seconds: float = Field(60.0, gt=0)
    """How long a claim lasts without a heartbeat."""

    heartbeat_seconds: float = Field(10.0, gt=0)
    """How often a running stage renews its lease."""

    poll_seconds: float = Field(0.5, gt=0)
    """How often the embedded worker looks for work."""

    sweep_seconds: float = Field(15.0, gt=0)
    """How often expired leases and unsent wake-ups are looked for."""

    orphan_hours: float = Field(24.0, ge=0)
    """How old stored files that no row points to must be before the sweeper removes them."""

    orphan_sweep_seconds: float = Field(3600.0, gt=0)
    """How often such files are looked for: it lists the whole storage."""

    failed_checkpoint_days: float = Field(7.0, ge=0)
    """How long the checkpoints of a failed job are kept for a retry."""

    max_deaths: int = Field(3, ge=1)
    """Deaths or exceptions of a stage's process after which it is ``failed``."""

    max_lost_leases: int = Field(10, ge=1)
    """Leases lost (a worker that vanished) after which a stage is ``failed``."""

    cancel_grace_seconds: float = Field(3.5, ge=0)
    """How long a stage may take to stop by itself before its process group is killed."""

    checkpoint_seconds: float = Field(60.0, gt=0)
    """How often a running stage's checkpoint is carried to storage, if there is a new one."""

    ingest_memory_bytes: int = Field(8 * 2**30, gt=0)
    """Address-space limit of the process that parses uploaded files."""

    stage_memory_bytes: int | None = Field(None, gt=0)
    """Largest resident memory of any other stage's process, files it has mapped aside; one that
    grows beyond it is ended and tried again in smaller pieces. Unset: no limit but the machine's."""

    ingest_seconds: float = Field(3600.0, gt=0)
    """Longest time that parsing uploaded files may take."""

    max_comparison_runs: int = Field(1000, ge=1)
    """Trainings that one comparison may ask for: budgets × selectors × seeds."""

    torch_threads: int | None = Field(None, ge=1)
    """Threads of torch in every stage; unset: the cores of the machine."""

    device: str = "auto"
    """``auto``, ``cpu`` or ``cuda``."""

    @field_validator("rate_limit")
    @classmethod
    def _rate(cls, value: str | None) -> str | None:
        if value not in (None, "none"):
            parse_many(value)
        return value

    @cached_property
    def resolved_database_url(self) -> str:
        """``database_url``, or the SQLite file in ``data_dir``."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'dealrec.sqlite3'}"

    @cached_property
    def resolved_storage_url(self) -> str:
        """``storage_url``, or the folder in ``data_dir``."""
        return self.storage_url or f"file://{self.data_dir.absolute() / 'storage'}"
