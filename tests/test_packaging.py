"""What is shipped beside the code: the image, the compose file, what CI runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from router.settings import PREFIX, Settings

_ROOT = Path(__file__).resolve().parent.parent
_COMPOSE = _ROOT / "docker-compose.yml"
_DOCKERFILE = _ROOT / "Dockerfile"


@pytest.mark.parametrize(
    "file", [_COMPOSE, _DOCKERFILE, _ROOT / "docs" / "operations.md", _ROOT / "README.md"]
)
def test_every_setting_named_is_one(file: Path) -> None:
    """A ROUTER_ variable in what is shipped is a setting: an unknown one would stop the start."""
    named = set(re.findall(r"ROUTER_[A-Z_]*[A-Z]", file.read_text(encoding="utf-8")))
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    assert named <= known | {"ROUTER_CONFIG"}


def _can_compose() -> bool:
    docker = shutil.which("docker")
    asked = [docker, "compose", "version"] if docker else ["false"]
    return subprocess.run(asked, check=False, capture_output=True).returncode == 0  # noqa: S603 - as found


@pytest.mark.skipif(not _can_compose(), reason="there is no docker compose here")
def test_the_compose_file_holds() -> None:
    """Compose itself accepts the file, given the three values it asks for."""
    given = {
        "ROUTER_PLATFORM_DOMAIN": "portal.example",
        "ROUTER_ENCRYPTION_KEYS": "x",
        "POSTGRES_PASSWORD": "x",
    }
    command = ["docker", "compose", "--file", str(_COMPOSE), "config", "--quiet"]
    done = subprocess.run(command, check=False, capture_output=True, env=os.environ | given)  # noqa: S603 - as above
    assert done.returncode == 0, done.stderr.decode()


def test_every_container_is_shut_in() -> None:
    """Each service of the compose file drops all capabilities and is read-only; no image has a moving tag."""
    text = _COMPOSE.read_text(encoding="utf-8")
    hardened, services = re.split(r"^services:$", text, flags=re.MULTILINE)
    for rule in ("cap_drop: [ALL]", '"no-new-privileges:true"', "read_only: true"):
        assert rule in hardened
    named = re.findall(r"^  ([a-z]+):\n((?:    .*\n|\n)*)", services.partition("\nvolumes:")[0], re.MULTILINE)
    assert {name for name, _ in named} == {"router", "redis", "postgres", "backend"}
    assert all(body.startswith("    <<: *hardened\n") for _, body in named)
    images = re.findall(r"image: ([^\s]+)", services)
    assert all(image == "tenant-router" or re.search(r":\d+\.\d+[.\d]*-", image) for image in images)


def test_the_image_is_not_roots() -> None:
    """The last stage runs as a user of its own, tells its health, and takes in nothing that is not named."""
    stages = _DOCKERFILE.read_text(encoding="utf-8").split("\nFROM ")
    assert len(stages) == 3
    assert "\nUSER tenant-router\n" in stages[-1]
    assert "\nHEALTHCHECK " in stages[-1]
    rules = (_ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert next(rule for rule in rules if rule and not rule.startswith("#")) == "*"


def test_ci_is_a_script_that_bash_can_read() -> None:
    """.ci/run is executable, without a syntax error, and runs both targets."""
    script = _ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    bash = shutil.which("bash") or "/bin/bash"
    assert subprocess.run([bash, "-n", str(script)], check=False).returncode == 0  # noqa: S603 - our own script
    lines = script.read_text(encoding="utf-8").splitlines()
    assert lines[-2:] == ["make check", "make test"]


def test_links_between_documents_lead_somewhere() -> None:
    """Every relative link in the documents names a file that is there."""
    documents = [_ROOT / "README.md", _ROOT / "CHANGELOG.md", *_ROOT.glob("docs/*.md")]
    for document in documents:
        links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
        missing = [link for link in links if not (document.parent / link).exists()]
        assert not missing, document.name
