"""The settings of service and workers, read from the environment (prefix ``DEALREC_``)."""

import re
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

from limits import parse_many
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from dealrec.errors import InputError
from dealrec.tracking import tracker_of


class Settings(BaseSettings):
    """The settings; a docstring describes each field."""

    model_config = SettingsConfigDict(
        env_prefix="DEALREC_", extra="ignore", use_attribute_docstrings=True
    )

    data_dir: Path = Path("data")
    """The folder of a server without a broker, with the SQLite file, stored files and scratch space."""

    models: Path | None = None
    """The catalogue of language models, a TOML file that the API and all workers read; the default is
    ``dealrec/models.toml`` in the user's folder for configuration (``~/.config``)."""

    database_url: str | None = None
    """SQLAlchemy URL (``postgresql+psycopg://…``); the default is SQLite in ``data_dir``."""

    broker_url: str | None = None
    """The Celery broker (``redis://…``); without one, the embedded worker polls the database."""

    storage_url: str | None = None
    """The store of artifacts (``file:///…``, ``s3://bucket/prefix``); the default is ``data_dir/storage``."""

    bootstrap_key: SecretStr | None = None
    """An API key (``dr_…``) that becomes valid for the tenant ``default`` at start."""

    require_keys: bool | None = None
    """Whether requests need an API key. If unset, they do when a key exists or ``bootstrap_key`` is set."""

    rate_limit: str | None = None
    """The rate limit of each key, such as ``600/minute`` or ``10/second;6000/hour``; without keys, the
    limit of each address. ``none`` sets no limit. If unset, ``6000/minute`` per key, and no limit without
    keys."""

    quota_stored_bytes: int | None = Field(None, ge=0)
    """The bytes that a tenant may store, unless ``dealrec tenants set`` gives it its own limit. If unset,
    there is no limit."""

    quota_open_jobs: int | None = Field(None, ge=0)
    """How many jobs of a tenant may be open (not ended) at once; own limits and unset as above."""

    quota_gpu_seconds: float | None = Field(None, ge=0)
    """The GPU seconds that a tenant's stages may use within ``quota_gpu_days``; own limits and unset as
    above."""

    quota_gpu_days: float = Field(30.0, gt=0)
    """The number of past days over which GPU seconds are counted."""

    audit_days: float = Field(365.0, gt=0)
    """How long the audit trail is kept."""

    metrics_open: bool = False
    """Whether ``/metrics`` is open to everybody; otherwise it needs a key with the scope ``admin``."""

    max_upload_bytes: int = Field(4 * 2**30, gt=0)
    """The largest body of an upload, in bytes, counted while it streams."""

    allowed_addresses: Annotated[tuple[str, ...], NoDecode] = ()
    """The addresses from which data sets may be read, such as ``s3://bucket/logs file:///data``,
    including everything below them. Every tenant may read them. Credentials for S3 come from the usual
    ``AWS_…`` variables."""

    max_json_bytes: int = Field(2**20, gt=0)
    """The largest body of any other request, in bytes."""

    upload_part_bytes: int = Field(16 * 2**20, gt=0)
    """The bytes of each part of a resumable upload."""

    idempotency_hours: float = Field(24.0, gt=0)
    """How long the response to a request with an ``Idempotency-Key`` is kept."""

    event_days: float = Field(30.0, gt=0)
    """How long the events of ended jobs are kept."""

    upload_hours: float = Field(24.0, gt=0)
    """How long an upload is kept, and how long the files of a rejected data set are."""

    webhook_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()
    """Networks besides the public internet to which webhooks may send, such as ``10.2.0.0/16
    127.0.0.1/32``. Plain ``http`` is allowed only for these."""

    webhook_seconds: float = Field(10.0, gt=0)
    """The longest time that a webhook's receiver may take to respond."""

    webhook_retry_seconds: float = Field(5.0, gt=0)
    """The longest pause after the first failed attempt to deliver a message; it doubles with each
    attempt, up to six hours."""

    webhook_days: float = Field(3.0, gt=0)
    """For how long failed messages are sent again."""

    webhook_threads: int = Field(8, ge=1)
    """The number of webhooks to which a worker delivers at the same time."""

    track: Annotated[tuple[str, ...], NoDecode] = ()
    """The experiment trackers, separated by spaces, to which workers write a record of every job that
    ends, such as ``mlflow:http://tracker:5000`` or ``tensorboard:/data/runs``. If unset, there are none."""

    track_retry_seconds: float = Field(30.0, gt=0)
    """The pause after the first failed attempt to write to a tracker; it doubles with each attempt, and
    after ten failures no further attempt is made."""

    lease_seconds: float = Field(60.0, gt=0)
    """How long a claim lasts without a heartbeat."""

    heartbeat_seconds: float = Field(10.0, gt=0)
    """How often a running stage renews its lease."""

    poll_seconds: float = Field(0.5, gt=0)
    """How often the worker of a server without a broker looks for work."""

    sweep_seconds: float = Field(15.0, gt=0)
    """How often the sweeper looks for expired leases, unsent wake-ups and schedules that are due."""

    orphan_hours: float = Field(24.0, ge=0)
    """The age at which the sweeper removes stored files to which no database row refers."""

    orphan_sweep_seconds: float = Field(3600.0, gt=0)
    """How often the sweeper looks for such files. It lists the whole storage for that."""

    failed_checkpoint_days: float = Field(7.0, ge=0)
    """How long the checkpoints of a failed job are kept for a retry."""

    max_deaths: int = Field(3, ge=1)
    """The number of deaths or exceptions of its process after which a stage is ``failed``."""

    max_lost_leases: int = Field(10, ge=1)
    """The number of lost leases (vanished workers) after which a stage is ``failed``."""

    cancel_grace_seconds: float = Field(3.5, ge=0)
    """How long a stage may take to stop by itself before its process group is killed."""

    checkpoint_seconds: float = Field(60.0, gt=0)
    """How often a running stage's new checkpoint is copied to storage."""

    ingest_memory_bytes: int = Field(8 * 2**30, gt=0)
    """The address-space limit of the process that parses uploaded files."""

    stage_memory_bytes: int | None = Field(None, gt=0)
    """The largest resident memory of any other stage's process, without mapped files. A process that
    exceeds it is stopped, and the stage is retried in smaller pieces. If unset, only the machine's limit
    applies."""

    ingest_seconds: float = Field(3600.0, gt=0)
    """The longest time that parsing uploaded files may take."""

    fork_stages: bool = True
    """Whether a worker on Linux forks the processes of stages from a process that has their libraries
    loaded, which saves seconds in each stage. If this is off, or a fork is not possible, every process
    starts from scratch."""

    max_comparison_runs: int = Field(1000, ge=1)
    """The most trainings of one comparison: budgets × selectors × seeds."""

    torch_threads: int | None = Field(None, ge=1)
    """The number of torch threads in every stage. If unset, the number of cores of the machine."""

    device: str = "auto"
    """The device for torch: ``auto``, ``cpu`` or ``cuda``."""

    @field_validator("allowed_addresses", mode="before")
    @classmethod
    def _addresses(cls, value: object) -> object:
        found = tuple(value.replace(",", " ").split()) if isinstance(value, str) else value
        for address in found if isinstance(found, tuple | list) else ():
            if not re.match(r"(s3|file)://.", str(address)):
                raise ValueError(
                    f"an address must start with s3:// or file://, but {address!r} does not"
                )
        return found

    @field_validator("track", mode="before")
    @classmethod
    def _trackers(cls, value: object) -> object:
        found = tuple(value.split()) if isinstance(value, str) else value
        for address in found if isinstance(found, tuple | list) else ():
            try:
                tracker_of(str(address))
            except InputError as error:
                raise ValueError(error.detail) from None
        return found

    @field_validator("webhook_networks", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("rate_limit")
    @classmethod
    def _rate(cls, value: str | None) -> str | None:
        if value not in (None, "none"):
            parse_many(value)
        return value

    @cached_property
    def resolved_database_url(self) -> str:
        """``database_url``, or the URL of the SQLite file in ``data_dir``."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'dealrec.sqlite3'}"

    @cached_property
    def resolved_storage_url(self) -> str:
        """``storage_url``, or the URL of the folder in ``data_dir``."""
        return self.storage_url or f"file://{self.data_dir.absolute() / 'storage'}"
