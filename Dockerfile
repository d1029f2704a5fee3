# The image of the action: Python, the locked dependencies with the extra `learn` (no torch), this package and
# its models. Labelling with it opens no connection but to the API of GitHub.

# python:3.11.16 on Debian bookworm; the digest is that of the index of all platforms.
FROM python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b AS base
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore

FROM base AS dependencies
COPY requirements/image.lock /src/
# The tests that wheels carry are a fifth of the environment and are never imported.
# Bytecode is compiled here, once, and never compared with its source again: every run is a cold start.
RUN python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: --no-compile -r /src/image.lock \
 && find /opt/venv/lib \( -type d -name tests -o -type d -name sample_data \) -prune -exec rm -rf {} + \
 && /opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib

FROM base AS wheel
WORKDIR /src
COPY requirements/build.lock requirements/
RUN pip install --require-hashes --only-binary :all: -r requirements/build.lock
COPY LICENSE README.md pyproject.toml ./
COPY model_cache model_cache
COPY examples/workflows examples/workflows
COPY triage triage
RUN pip wheel --no-build-isolation --no-deps --wheel-dir /wheels .

FROM base
LABEL org.opencontainers.image.title="triage" \
      org.opencontainers.image.description="Labels new GitHub issues from what maintainers labelled before" \
      org.opencontainers.image.licenses="MIT AND Apache-2.0"
COPY --from=dependencies /opt/venv /opt/venv
# The package with its models is a layer of its own: a release that changes no dependency changes only this.
# `pip check` fails the build where the lock no longer fits pyproject.toml.
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip --python /opt/venv/bin/python install --no-index --no-deps --no-compile /wheels/*.whl \
 && pip --python /opt/venv/bin/python check \
 && /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash \
    /opt/venv/lib/python3.11/site-packages/triage
# HOME is left to the runner, which mounts one that lives as long as the job; pulled models are cached there.
# The package turns onnxruntime's telemetry off itself; here it is off for whatever else runs in the image.
ENV ORT_DISABLE_TELEMETRY=1 HF_HUB_OFFLINE=1 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 MPLBACKEND=Agg
# No USER: GitHub runs Docker actions as root, and /github/workspace, the file of outputs and the summary belong
# to the runner's user, which another one in here could not write.
ENTRYPOINT ["/opt/venv/bin/triage", "action"]
