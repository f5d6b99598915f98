"""Envoy with ext_authz, its filter that asks an auth service over HTTP at each request."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any, Final

from processes import find_program, free_port

from peers.peer import Peer, Recipe

if TYPE_CHECKING:
    from stage import Stage

_TYPES: Final = "type.googleapis.com/envoy.extensions"
_IDENTITY: Final = ("tenant", "user", "email", "customer", "jwt-assertion")


def _start(stage: Stage) -> Peer:
    program, port = find_program("envoy"), free_port()
    path = stage.folder / "envoy.json"
    path.write_text(json.dumps(_bootstrap(stage, port)))
    command = [program, "--config-path", str(path), "--concurrency", "1", "--disable-hot-restart"]
    command += ["--log-level", "error"]
    process = stage.start("envoy", command, core=stage.cores.proxy)
    process.wait_for_port(port)
    return Peer(process, port, stage.token, _version(program))


def _bootstrap(stage: Stage, port: int) -> dict[str, Any]:
    chain = {
        "transport_socket": {"name": "tls", "typed_config": _tls(stage)},
        "filters": [{"name": "http", "typed_config": _connections(stage, port)}],
    }
    clusters = [_cluster("application", stage.upstream_port), _cluster("auth", stage.auth_port)]
    listener = {"name": "tenants", "address": _address(port), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}


def _connections(stage: Stage, port: int) -> dict[str, Any]:
    log = {
        "@type": f"{_TYPES}.access_loggers.file.v3.FileAccessLog",
        "path": str(stage.folder / "envoy.access.log"),
    }
    router = {"@type": f"{_TYPES}.filters.http.router.v3.Router"}
    return {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "tenants",
        "codec_type": "HTTP1",
        "use_remote_address": True,
        "access_log": [{"name": "file", "typed_config": log}],
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "http_filters": [
            {"name": "ext_authz", "typed_config": _ext_authz(stage)},
            {"name": "router", "typed_config": router},
        ],
        "route_config": _routes(port),
    }


def _routes(port: int) -> dict[str, Any]:
    def add(name: str, value: str) -> dict[str, Any]:
        return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}

    # X-Forwarded-For, X-Forwarded-Proto and X-Request-Id it adds by itself.
    route = {"match": {"prefix": "/"}, "route": {"cluster": "application", "timeout": "0s"}}
    host = {"name": "all", "domains": ["*"], "routes": [route]}
    added = [add("x-forwarded-host", "%REQ(:AUTHORITY)%"), add("x-forwarded-port", str(port))]
    return {"virtual_hosts": [host], "request_headers_to_add": added}


def _ext_authz(stage: Stage) -> dict[str, Any]:
    identity = [{"exact": f"x-portal-{name}"} for name in _IDENTITY]
    return {
        "@type": f"{_TYPES}.filters.http.ext_authz.v3.ExtAuthz",
        "allowed_headers": {"patterns": [{"exact": "cookie"}]},
        "http_service": {
            "server_uri": {
                "uri": f"http://127.0.0.1:{stage.auth_port}",
                "cluster": "auth",
                "timeout": "5s",
            },
            "authorization_response": {"allowed_upstream_headers": {"patterns": identity}},
        },
    }


def _tls(stage: Stage) -> dict[str, Any]:
    pair = {
        "certificate_chain": {"filename": str(stage.certificate)},
        "private_key": {"filename": str(stage.key)},
    }
    return {
        "@type": f"{_TYPES}.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "alpn_protocols": ["http/1.1"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_3"},
            "tls_certificates": [pair],
        },
    }


def _cluster(name: str, port: int) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _address(port)}}
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}
    return {"name": name, "type": "STATIC", "connect_timeout": "3s", "load_assignment": assignment}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _version(program: str) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=30)
    found = re.search(r"/(\d+\.\d+\.\d+)", said.stdout)
    return found.group(1) if found else "of unknown version"


RECIPE = Recipe("envoy", "Envoy + ext_authz", checks_session=True, start=_start)
