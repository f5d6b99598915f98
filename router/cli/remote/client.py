"""A client of the API: one connection, verified TLS, and problems told as the router itself tells them."""

from __future__ import annotations

import http.client
import json
import ssl
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode

from router.cli.remote.place import Place
from router.errors import BadInput, BadSettings, Conflict, NotFound, RouterError, Unavailable
from router.hostname import Hostname

_ROOT: Final = "/api/v1"
_SECONDS: Final = 30.0
_MOST: Final = 64 * 2**20
_PIECE: Final = 200
_PATIENCE: Final = 60
_TRIES: Final = 5

Told = dict[str, Any]
"""What the API answers: JSON."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came: ``wait`` is in seconds, 0 where nothing is said of it."""

    status: int
    wait: int
    told: Told


class Client:
    """Calls the API at a place. Close it after use."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._token = place.token()
        self._connection = http.client.HTTPSConnection(
            place.host, place.port, timeout=_SECONDS, context=_context(place)
        )

    @property
    def hostname(self) -> Hostname:
        """Where the console is."""
        return Hostname(self._place.host)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def get(self, path: str, **query: object) -> Told:
        """Read something; ``path`` is below /api/v1."""
        asked = {name: _spelled(value) for name, value in query.items() if value is not None}
        return self._call("GET", f"{path}?{urlencode(asked)}" if asked else path)

    def all(self, path: str, **query: object) -> Iterator[Told]:
        """Read a whole list, piece by piece."""
        after = None
        while True:
            some = self.get(path, limit=_PIECE, after=after, **query)
            yield from some["items"]
            after = some["next"]
            if after is None:
                return

    def lines(self, path: str, **query: object) -> Iterator[bytes]:
        """Read what is sent line by line, however much it is."""
        asked = {name: _spelled(value) for name, value in query.items() if value is not None}
        try:
            self._connection.request(
                "GET", f"{_ROOT}{path}?{urlencode(asked)}", headers={"Authorization": f"Bearer {self._token}"}
            )
            answer = self._connection.getresponse()
            if answer.status != HTTPStatus.OK:
                raise failure_of(answer.status, self._read(answer, answer.read(_MOST)))
            yield from answer
        except (OSError, http.client.HTTPException) as fault:
            raise self._unreachable(fault) from fault

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, version: int | None = None) -> Told:
        """Have something done."""
        return self._call("POST", path, body, version=version)

    def patch(self, path: str, body: Mapping[str, Any], *, version: int) -> Told:
        """Change something, if it is of that version yet."""
        return self._call("PATCH", path, body, version=version)

    def put(self, path: str, octets: bytes, *, version: int) -> Told:
        """Store octets."""
        return self._call("PUT", path, octets, version=version)

    def delete(self, path: str, *, version: int | None = None) -> Told:
        """Take something away."""
        return self._call("DELETE", path, version=version)

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | bytes | None = None,
        *,
        version: int | None = None,
    ) -> Told:
        """Call, and again when there were too many calls for the moment."""
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        if method == "POST":  # by this the router knows it again, so that nothing is made twice
            headers["Idempotency-Key"] = str(uuid.uuid4())
        if version is not None:
            headers["If-Match"] = f'"v{version}"'
        if body is not None:
            octets = isinstance(body, bytes)
            headers["Content-Type"] = "application/octet-stream" if octets else "application/json"
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        answer = self._ask(method, path, data, headers)
        for _ in range(_TRIES):
            if answer.status != HTTPStatus.TOO_MANY_REQUESTS or not 0 < answer.wait <= _PATIENCE:
                break
            time.sleep(answer.wait)
            answer = self._ask(method, path, data, headers)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise failure_of(answer.status, answer.told)
        return answer.told

    def _ask(self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]) -> _Answer:
        """Ask, and once more where the connection had been kept open for longer than the router does."""
        was_open = self._connection.sock is not None
        try:
            return self._once(method, path, data, headers)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as fault:
            self._connection.close()
            if not was_open:
                raise self._unreachable(fault) from fault
            return self._ask(method, path, data, headers)
        except (OSError, http.client.HTTPException) as fault:
            self._connection.close()
            raise self._unreachable(fault) from fault

    def _once(self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]) -> _Answer:
        self._connection.request(method, _ROOT + path, data, dict(headers))
        answer = self._connection.getresponse()
        raw, wait = answer.read(_MOST), answer.getheader("Retry-After", "")
        return _Answer(answer.status, int(wait) if wait.isdecimal() else 0, self._read(answer, raw))

    def _read(self, answer: http.client.HTTPResponse, raw: bytes) -> Told:
        """Read an answer, which is JSON or nothing: anything else is not the API's."""
        if answer.status == HTTPStatus.NO_CONTENT:
            return {}
        failed = answer.status >= HTTPStatus.BAD_REQUEST
        kind = "application/problem+json" if failed else "application/json"
        said = answer.getheader("Content-Type", "").partition(";")[0]
        try:
            told = json.loads(raw) if said == kind else None
        except ValueError:
            told = None
        if not isinstance(told, dict) or not _is_the_apis(answer):
            host, status = self._place.host, answer.status
            sentence = f"{host} answers {status}, and not as the API does: is it the console's hostname?"
            raise Unavailable("no_api", sentence)
        return told

    def _unreachable(self, fault: Exception) -> RouterError:
        host = self._place.host
        if isinstance(fault, ssl.SSLCertVerificationError):
            sentence = f"The certificate of {host} is not good: {fault.verify_message}. See --ca-file."
            return Unavailable("server_not_trusted", sentence)
        return Unavailable("server_unreachable", f"{host}:{self._place.port} cannot be reached.")


def escaped(part: str) -> str:
    """Write a part of a path."""
    return quote(part, safe="")


def failure_of(status: int, problem: Told) -> RouterError:
    """Read a problem (RFC 9457) into the failure that it was told from."""
    code, sentence = str(problem.get("code", "failed")), str(problem.get("detail", f"HTTP {status}."))
    match status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return BadSettings(code, sentence)  # the token is at fault
        case HTTPStatus.NOT_FOUND:
            return NotFound(code, sentence)
        case HTTPStatus.CONFLICT | HTTPStatus.PRECONDITION_FAILED:
            return Conflict(code, sentence)
        case HTTPStatus.TOO_MANY_REQUESTS:
            return Unavailable(code, sentence)
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Unavailable(code, sentence)
        case _:
            return _bad_input(code, sentence, problem.get("errors", ()))


def _bad_input(code: str, sentence: str, errors: Any) -> BadInput:  # noqa: ANN401 - JSON is anything
    faults = [
        BadInput(each["code"], each["detail"], field=str(each["pointer"]).removeprefix("#/"))
        for each in errors
    ]
    if not faults:
        return BadInput(code, sentence)
    first, *further = faults
    first.further = further
    return first


def _is_the_apis(answer: http.client.HTTPResponse) -> bool:
    """Whether an answer can be the API's: a portal wants a sign-in, and not a token (RFC 6750 section 3)."""
    challenge = answer.getheader("WWW-Authenticate", "")
    return answer.status != HTTPStatus.UNAUTHORIZED or challenge.startswith("Bearer")


def _spelled(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _context(place: Place) -> ssl.SSLContext:
    """Trust the system's authorities, or the file's alone."""
    try:
        return ssl.create_default_context(cafile=None if place.ca_file is None else str(place.ca_file))
    except (OSError, ssl.SSLError) as fault:
        raise BadInput("file_unreadable", f"{place.ca_file} holds no authorities' certificates.") from fault
