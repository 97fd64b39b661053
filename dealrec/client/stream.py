"""The events of a job as they happen, across broken connections."""

from collections.abc import AsyncIterator

import httpx

from dealrec.client.errors import ApiError
from dealrec.client.exchange import Attempts
from dealrec.client.records import Event
from dealrec.client.transport import Request, Transport

_AGAIN_SECONDS = 1.0


async def followed(transport: Transport, path: str, after: int) -> AsyncIterator[Event]:
    """Iterate over the events after sequence number ``after``, each once, until the job ends.

    The service closes a stream when the job ends and also when it shuts down itself. So the stream
    is opened again after the last event, until the service answers 204: there are no more events.
    """
    attempts = Attempts(transport)
    while True:
        headers = {"accept": "text/event-stream", "last-event-id": str(after)}
        try:
            async with transport.open(Request("GET", path, headers=headers)) as reading:
                if not reading.response.is_success:
                    raise ApiError.of_answer(reading.response)
                if reading.response.status_code == httpx.codes.NO_CONTENT:
                    return
                async for message in reading.events:
                    if not message.data:
                        continue
                    event = Event.model_validate_json(message.data)
                    if event.sequence > after:
                        after = event.sequence
                        attempts.begin_anew()
                        yield event
        except ApiError as error:
            await attempts.after(error)
        else:
            await transport.sleep(_AGAIN_SECONDS)
