# Two images with common layers, built for amd64 and arm64. `label` has what every command but learning needs, since
# each event pulls it; `learn` adds scikit-learn and matplotlib, for `retrain`. Neither has PyTorch. Both have this
# package and its models, and connect to nothing but the API of GitHub.

# python:3.11.16 on Debian bookworm; the digest is that of the index of all platforms.
FROM python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b AS base
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore

# The locks leave out what is never imported (requirements/unused.txt), so pip must not look for it.
FROM base AS labelling
COPY requirements/label.lock requirements/trim /src/
RUN python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: --no-deps --no-compile \
    -r /src/label.lock \
 && /src/trim /opt/venv/lib/python3.11/site-packages

# Only what is not in the environment already goes to the other folder.
FROM labelling AS learning
COPY requirements/learn.lock /src/
RUN pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: --no-deps --no-compile \
    --prefix /opt/learn -r /src/learn.lock \
 && /src/trim /opt/learn/lib/python3.11/site-packages

FROM base AS package
WORKDIR /src
COPY requirements/build.lock requirements/trim requirements/
RUN pip install --require-hashes --only-binary :all: -r requirements/build.lock
COPY CHANGELOG.md LICENSE README.md pyproject.toml ./
COPY model_cache model_cache
COPY examples/workflows examples/workflows
COPY triage triage
RUN pip wheel --no-build-isolation --no-deps --wheel-dir /wheels . \
 && python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install --no-index --no-deps --no-compile /wheels/*.whl \
 && requirements/trim /opt/venv/lib/python3.11/site-packages

FROM base AS label
LABEL org.opencontainers.image.title="triage" \
      org.opencontainers.image.description="Labels new GitHub issues from what maintainers labelled before" \
      org.opencontainers.image.licenses="MIT AND Apache-2.0"
COPY --from=labelling /opt/venv /opt/venv
# A layer of its own: a release that changes no dependency changes only this.
COPY --from=package /opt/venv /opt/venv
# HOME is left to the runner, which mounts one that lives as long as the job; pulled models are cached there.
# The package turns onnxruntime's telemetry off itself; here it is off for whatever else runs in the image.
ENV ORT_DISABLE_TELEMETRY=1 HF_HUB_OFFLINE=1 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 MPLBACKEND=Agg
# No USER: GitHub runs Docker actions as root, and /github/workspace, the file of outputs and the summary belong
# to the runner's user, which another one in here could not write.
ENTRYPOINT ["/opt/venv/bin/triage", "action"]

# The last one is what a runner builds where an action's file names this Dockerfile, as on main.
FROM label AS learn
COPY --from=learning /opt/learn /opt/learn
ENV PYTHONPATH=/opt/learn/lib/python3.11/site-packages
