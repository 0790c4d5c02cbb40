# Dangol in a container: `docker build --tag dangol:0.1.0 .`; docs/distributed.md says how it is used.
ARG PYTHON=3.11.14

# The whole Debian image has the compilers; nothing of this stage but /opt/dangol is kept.
FROM python:${PYTHON}-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build

# Every wheel is one whose hash is in the lock file; what is installed afterwards comes from this folder and no network.
COPY requirements.lock ./
RUN pip wheel --require-hashes --requirement requirements.lock --wheel-dir /wheels

COPY pyproject.toml README.md LICENSE ./
COPY ingest ingest
COPY recommender recommender
COPY personalization personalization
COPY serving serving
# hadolint ignore=DL3013
RUN pip install --upgrade --no-index --find-links /wheels setuptools wheel \
    && pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels . \
    && python -m venv --without-pip /opt/dangol \
    && pip --python /opt/dangol/bin/python install --no-index --find-links /wheels dangol

# Machine code of the kernels for any processor of this architecture: made for the builder's own, it would be of no use elsewhere.
# Snapshots come out the same.
ENV NUMBA_CPU_NAME=generic
RUN NUMBA_CACHE_DIR=/opt/dangol/kernels /opt/dangol/bin/python -m recommender.kernels


FROM python:${PYTHON}-slim-bookworm
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="Dangol" \
      org.opencontainers.image.description="A shop's memory: clickstream and orders in, recommendations out." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"

# tini takes the first place, which has duties; libgomp is what implicit computes with.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 dangol \
    && useradd --uid 10001 --gid dangol --home-dir /data --no-create-home --shell /usr/sbin/nologin dangol \
    && install --directory --owner dangol --group dangol --mode 0700 /data

COPY examples/distributed/entrypoint /usr/local/bin/dangol-entrypoint
COPY --from=build /opt/dangol /opt/dangol

ENV PATH=/opt/dangol/bin:$PATH \
    DANGOL_DATA=/data \
    HOME=/tmp \
    NUMBA_CACHE_DIR=/tmp/kernels \
    NUMBA_CPU_NAME=generic \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["tini", "--", "dangol-entrypoint"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
