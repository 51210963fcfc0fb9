# syntax=docker/dockerfile:1
# FaceStats over HTTP, on processors. Models are mounted at /project, or pulled into it at the start:
#   docker build -t facestats .
#   docker run -p 127.0.0.1:8000:8000 -v /srv/facestats:/project:ro -v /etc/facestats/token:/run/secrets/token:ro facestats
#   docker run … -e FACESTATS_PULL=1 -v facestats:/project facestats     # a clone with a DVC remote
FROM python:3.11-slim

ENV PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1 \
    OMP_WAIT_POLICY=PASSIVE

# DVC needs git where the project is pulled; any version does.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /app
COPY requirements.lock requirements-remotes.txt pyproject.toml README.md LICENSE ./
RUN python -m pip install --no-deps --require-hashes -r requirements.lock \
    && python -m pip install --index-url https://download.pytorch.org/whl/cpu torch==2.13.0 \
    && python -m pip install -r requirements-remotes.txt
COPY src ./src
RUN python -m pip install --no-deps .
COPY deploy/entrypoint.sh ./entrypoint.sh

RUN useradd --create-home --uid 10001 facestats \
    && install --directory --owner facestats /project
USER facestats
VOLUME /project
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["/bin/sh", "/app/entrypoint.sh"]
CMD ["--host", "0.0.0.0", "--token-file", "/run/secrets/token"]
