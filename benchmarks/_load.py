"""A load generator that costs little beside the server that it measures: raw keep-alive connections."""

import asyncio
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Load:
    """The answers of one run."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    """Seconds from a request's first byte to its answer's last."""
    failures: int = 0

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def poll(base: str, paths: list[str], *, connections: int, seconds: float) -> Load:
    """GET ``paths`` in turn over ``connections``, each as fast as it is answered, for ``seconds``."""
    return asyncio.run(_poll(base, paths, connections, seconds))


async def _poll(base: str, paths: list[str], connections: int, seconds: float) -> Load:
    load, begun = Load(), time.perf_counter()
    requests = [
        f"GET {path} HTTP/1.1\r\nHost: {urlsplit(base).netloc}\r\n\r\n".encode() for path in paths
    ]
    await asyncio.gather(
        *(
            _one(base, requests[n:] + requests[:n], begun + seconds, load)
            for n in range(connections)
        )
    )
    load.seconds = time.perf_counter() - begun
    return load


async def _one(base: str, requests: list[bytes], until: float, load: Load) -> None:
    url = urlsplit(base)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    number = 0
    while (begun := time.perf_counter()) < until:
        writer.write(requests[number % len(requests)])
        number += 1
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(_length(head))
        if head.startswith(b"HTTP/1.1 200 "):
            load.latencies.append(time.perf_counter() - begun)
        else:
            load.failures += 1
    writer.close()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ValueError("an answer without a length")
