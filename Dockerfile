# syntax=docker/dockerfile:1

FROM python:3.11-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml README.md constraints.txt ./
COPY router router
COPY themes themes
# Exactly the versions that the tests ran with.
RUN python -m venv /opt/tenant-router \
 && /opt/tenant-router/bin/pip install --no-cache-dir --constraint constraints.txt .

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /var/lib/tenant-router tenant-router \
 && install -d -o tenant-router -g tenant-router -m 0700 /var/lib/tenant-router \
 && install -d -m 0755 /etc/tenant-router/certs
COPY --from=build /opt/tenant-router /opt/tenant-router
ENV PATH=/opt/tenant-router/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ROUTER_DATA_DIR=/var/lib/tenant-router \
    ROUTER_CERTS_DIR=/etc/tenant-router/certs
USER tenant-router
WORKDIR /var/lib/tenant-router
VOLUME /var/lib/tenant-router
# HTTPS, HTTP and health. No privilege is needed: map 443 and 80 to the first two.
EXPOSE 8443 8080 8081
# Liveness, not readiness: an orchestrator that restarts the unhealthy must not restart a router whose database is away.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --start-interval=1s \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:%s/healthz' % os.environ.get('ROUTER_HEALTH_PORT', '8081'), timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["tenant-router"]
CMD ["serve"]
