"""One example for each main schema of the OpenAPI document.

The examples belong to schemas, so that requests, answers and generated clients show the same ones.
A test validates each against its schema.
"""

from collections.abc import Mapping

_CREATED = "2026-03-01T12:00:00Z"

EXAMPLES: Mapping[str, Mapping[str, object]] = {
    "UploadCreate": {"filename": "interactions.parquet", "bytes": 2147483648},
    "Upload": {
        "id": "up_01j9zq4m7c0000000000000000",
        "object": "upload",
        "state": "open",
        "filename": "interactions.parquet",
        "bytes": 2147483648,
        "sha256": None,
        "part_bytes": 16777216,
        "received_bytes": 16777216,
        "parts": [{"number": 1, "bytes": 16777216, "sha256": "0" * 64}],
        "created_at": _CREATED,
        "expires_at": "2026-03-02T12:00:00Z",
    },
    "DatasetCreate": {
        "interactions_upload_id": "up_01j9zq4m7c0000000000000000",
        "name": "games",
        "split": "global_time",
    },
    "Dataset": {
        "id": "ds_01j9zq4m7c0000000000000000",
        "object": "dataset",
        "name": "games",
        "state": "validating",
        "created_at": _CREATED,
        "sha256": None,
        "split": "column",
        "options": {"columns": {"user_id": "reviewer"}, "split": None},
        "counts": None,
        "report": None,
        "error": None,
    },
    "PromptPreviewCreate": {
        "prompt": {
            "template": "{% for item in history %}- {{ item.title }}\n{% endfor %}Next:",
            "format": "chat",
        },
        "model": "smollm2-135m",
    },
    "LanguageModelCreate": {
        "name": "qwen2.5-0.5b",
        "repository": "Qwen/Qwen2.5-0.5B-Instruct",
        "revision": "7ae557604adf67be50417f59c2c2f167def9a775",
        "dtype": "bfloat16",
        "licence": "apache-2.0",
    },
    "JobCreate": {
        "dataset_id": "ds_01j9zq4m7c0000000000000000",
        "budget": 1024,
        "config": {
            "surrogate": {"model": "sasrec"},
            "effort": {"model": "smollm2-135m"},
            "selection": {"method": "dealrec", "effort_weight": 0.3, "strata": 50},
        },
        "metadata": {"purpose": "nightly"},
    },
    "Job": {
        "id": "job_01j9zq4m7c0000000000000000",
        "object": "job",
        "kind": "prune",
        "metadata": {"purpose": "nightly"},
        "dataset_id": "ds_01j9zq4m7c0000000000000000",
        "source_coreset_id": None,
        "state": "running",
        "budget": {"requested": 0.02, "samples": 915},
        "config": {"selection": {"method": "dealrec"}},
        "stages": [
            {
                "name": "surrogate",
                "state": "running",
                "attempt": 1,
                "reused": False,
                "progress": {"done": 3, "total": 20, "unit": "epoch"},
                "shards": None,
                "metrics": {"valid_ndcg@10": 0.0061},
                "error": None,
                "started_at": _CREATED,
                "finished_at": None,
                "seconds": 12.4,
            }
        ],
        "coreset_id": None,
        "adapter_id": None,
        "evaluation": None,
        "eta_seconds": 210.0,
        "error": None,
        "created_at": _CREATED,
        "started_at": _CREATED,
        "finished_at": None,
    },
    "CoresetCreate": {"budget": 512, "selection": {"effort_weight": 0.5}},
    "Coreset": {
        "id": "cs_01j9zq4m7c0000000000000000",
        "object": "coreset",
        "job_id": "job_01j9zq4m7c0000000000000000",
        "dataset_id": "ds_01j9zq4m7c0000000000000000",
        "size": 1024,
        "selection": {"method": "dealrec", "effort_weight": 0.3, "strata": 50},
        "sha256": "0" * 64,
        "coverage": {
            "users": 1024,
            "items": 4120,
            "strata": [{"index": 0, "low": 0.0, "high": 0.02, "available": 913, "selected": 20}],
        },
        "created_at": _CREATED,
    },
    "FinetuneJobConfig": {
        "model": "smollm2-135m",
        "epochs": 1,
        "lora": {"rank": 8},
        "evaluation": {"users": 1000, "ranking_users": 200},
    },
    "ComparisonCreate": {
        "dataset_id": "ds_01j9zq4m7c0000000000000000",
        "budgets": [256, 1024],
        "selectors": [
            "dealrec",
            "stratified_random",
            {"method": "dealrec", "label": "influence alone", "selection": {"effort_weight": 0}},
        ],
        "seeds": 5,
        "config": {"surrogate": {"model": "sasrec"}, "effort": {"model": "smollm2-135m"}},
    },
    "WebhookCreate": {
        "url": "https://hooks.example.com/dealrec",
        "events": ["job.succeeded", "job.failed", "job.cancelled"],
        "name": "nightly pipeline",
    },
    "WebhookUpdate": {"active": False},
    "KeyCreate": {"name": "nightly pipeline", "scopes": ["read", "write"], "expires_days": 90},
    "NewKey": {
        "id": "key_01j9zq4m7c0000000000000000",
        "object": "key",
        "name": "nightly pipeline",
        "prefix": "dr_Jx3fQa",
        "scopes": ["read", "write"],
        "created_at": _CREATED,
        "expires_at": "2026-05-30T12:00:00Z",
        "revoked_at": None,
        "key": "dr_Jx3fQa…",
    },
    "Problem": {
        "type": "urn:dealrec:problem:budget_too_large",
        "title": "The budget is above the number of samples",
        "status": 422,
        "detail": "The budget is 2,048 samples, but the data set has 915.",
        "instance": "/v1/jobs",
        "code": "budget_too_large",
        "errors": [{"location": "budget", "message": "at most 915"}],
    },
}
