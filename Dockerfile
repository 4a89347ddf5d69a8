# The router, in a small image without build tools, as a user without rights.
# Build: docker build -t notification-router .   Run: see docker-compose.yml, or docker run --env-file settings.env notification-router

FROM python:3.13-slim AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv --without-pip /app
# First what changes seldom: a change of the router alone downloads no packages anew.
COPY constraints.txt pyproject.toml ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" >needed.txt \
    && pip --python /app/bin/python install -c constraints.txt -r needed.txt
COPY README.md LICENSE ./
COPY router ./router
# The build backend is pinned too: older pips read the one variable for it, newer ones the other.
RUN PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
    pip --python /app/bin/python install --no-deps .

FROM python:3.13-slim
LABEL org.opencontainers.image.title="notification-router" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /app /app
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin router
ENV PATH=/app/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# No .env file is to be found by accident here: settings come from the environment.
WORKDIR /var/empty
USER 10001
# Longer than ROUTER_GRACE_SECONDS and the last writes together; `docker stop` waits 10 s unless told otherwise.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 CMD ["python", "-m", "router.healthcheck"]
CMD ["router", "run"]
