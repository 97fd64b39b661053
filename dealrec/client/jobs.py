"""Jobs: made, found, listed, and what they would cost."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from dealrec.client.binding import operation, sequence
from dealrec.client.exchange import ask, plain, without_none
from dealrec.client.lists import listed
from dealrec.client.records import Area, Estimate, M
from dealrec.client.resources import Job, create_job, fetch_job
from dealrec.client.transport import Request
from dealrec.config import PruneConfig

Config = PruneConfig | Mapping[str, Any]
"""Options of a job; what is left out has the service's defaults."""


class Jobs(Area[M]):
    """Jobs of this key's tenant."""

    @operation
    async def create(
        self,
        dataset_id: str,
        *,
        budget: float,
        config: Config | None = None,
        metadata: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Job[M]:
        """Have a coreset made; ``budget`` is a count, or a fraction below 1."""
        body = job_body(dataset_id, budget, config, metadata)
        return await create_job(self.transport, "/v1/jobs", body, idempotency_key)

    @operation
    async def estimate(
        self, dataset_id: str, *, budget: float, config: Config | None = None
    ) -> Estimate:
        """What such a job would cost; makes nothing."""
        body = job_body(dataset_id, budget, config, None)
        answer = await ask(self.transport, Request("POST", "/v1/estimates", json=body))
        return Estimate.model_validate(answer.json())

    @operation
    async def compare(
        self,
        dataset_id: str,
        *,
        budgets: Sequence[float],
        selectors: Sequence[str | Mapping[str, Any]],
        seeds: int | None = None,
        full_data_runs: int | None = None,
        scale: str | None = None,
        config: Config | None = None,
        metadata: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Job[M]:
        """Have selectors compared, each trained ``seeds`` times at each budget.

        What came out is :meth:`Job.report`. A selector is a name, or a name with options.
        """
        body = comparison_body(
            dataset_id,
            budgets,
            selectors,
            seeds=seeds,
            full_data_runs=full_data_runs,
            scale=scale,
            config=None if config is None else plain(config),
            metadata=metadata,
        )
        return await create_job(self.transport, "/v1/comparisons", body, idempotency_key)

    @operation
    async def estimate_comparison(
        self,
        dataset_id: str,
        *,
        budgets: Sequence[float],
        selectors: Sequence[str | Mapping[str, Any]],
        seeds: int | None = None,
        full_data_runs: int | None = None,
        scale: str | None = None,
        config: Config | None = None,
    ) -> Estimate:
        """What such a comparison would cost, all its trainings counted; makes nothing."""
        body = comparison_body(
            dataset_id,
            budgets,
            selectors,
            seeds=seeds,
            full_data_runs=full_data_runs,
            scale=scale,
            config=None if config is None else plain(config),
        )
        answer = await ask(self.transport, Request("POST", "/v1/estimates/comparison", json=body))
        return Estimate.model_validate(answer.json())

    @operation
    async def get(self, identifier: str) -> Job[M]:
        """One job, with its stages as they are now."""
        return await fetch_job(self.transport, identifier)

    @sequence
    async def list(
        self, *, state: str | None = None, dataset_id: str | None = None
    ) -> AsyncIterator[Job[M]]:
        """All jobs, newest first."""
        query = {"state": state, "dataset_id": dataset_id}
        async for entry in listed(self.transport, "/v1/jobs", query):
            yield Job[M].said(self.transport, entry)


def job_body(
    dataset_id: str, budget: float, config: Config | None, metadata: Mapping[str, str] | None
) -> dict[str, Any]:
    """A job as the service takes it."""
    given = {"config": None if config is None else plain(config), "metadata": metadata}
    return {"dataset_id": dataset_id, "budget": budget, **without_none(given)}


def comparison_body(
    dataset_id: str,
    budgets: Sequence[float],
    selectors: Sequence[str | Mapping[str, Any]],
    **options: Any,
) -> dict[str, Any]:
    """A comparison as the service takes it; options that are ``None`` are the service's to say."""
    return {
        "dataset_id": dataset_id,
        "budgets": list(budgets),
        "selectors": list(selectors),
        **without_none(options),
    }
