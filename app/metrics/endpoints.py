"""``GET /metrics``."""

from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import choose_encoder

from dealrec.app.kit.problems import documented

router = APIRouter(tags=["operation"])


@router.get(
    "/metrics",
    operation_id="get_metrics",
    response_class=Response,
    responses={**documented(), 200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(request: Request) -> Response:
    """Return metrics in the format of Prometheus. They are read from the database every few seconds."""
    encode, kind = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(request.app.state.metrics.registry), headers={"content-type": kind})
