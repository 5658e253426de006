# SkillForge in a container: `docker build -t skillforge .`, and see docs/operations.md for what it needs around it.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY scripts/runtime-lock scripts/runtime-lock
COPY requirements.lock setup.cfg ./
# The locked packages first: they change less often than the sources. Setuptools builds, and does not stay.
RUN python -m venv /opt/skillforge \
    && scripts/runtime-lock setuptools >runtime.lock \
    && /opt/skillforge/bin/pip install --no-deps --require-hashes -r runtime.lock
COPY . .
RUN /opt/skillforge/bin/pip install --no-deps --no-build-isolation . \
    && /opt/skillforge/bin/pip uninstall -q -y setuptools pip \
    && /opt/skillforge/bin/python -m compileall -q /opt/skillforge/lib

FROM python:3.11-slim-bookworm
# The fonts of certificates; tini reaps what a killed worker leaves.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        fonts-dejavu-core fonts-droid-fallback fonts-nanum fonts-lohit-deva fonts-urw-base35 tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin skillforge
COPY --from=build /opt/skillforge /opt/skillforge
ENV PATH=/opt/skillforge/bin:$PATH PYTHONDONTWRITEBYTECODE=1 LOG_FORMAT=json
USER 10001:10001
EXPOSE 8080 50051 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["tini", "--", "skillforge"]
CMD ["serve", "--host", "0.0.0.0"]
