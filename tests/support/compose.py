"""`docker-compose.yml` as tests read it: variables put in, commands taken apart, and the rules that it keeps."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"
ENVIRONMENT_EXAMPLE = ROOT / ".env.example"
OURS = "dangol:"  # the image that this repository builds
ONE_SHOT = {"init"}
PUBLIC = {"serve"}
_VARIABLE = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<name>\w+)(?::(?P<how>[-?])(?P<rest>[^}]*))?\})")
_SECRET = re.compile(r"password|passwd|secret|token|auth", re.IGNORECASE)
_PINNED = re.compile(r"[a-z0-9./-]+:\d+\.\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?")


class Missing(Exception):
    """A variable that the file insists on is not set, or is empty."""


def environment_example() -> dict[str, str]:
    """What `.env.example` says, as it is."""
    lines = (line.strip() for line in ENVIRONMENT_EXAMPLE.read_text().splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def read_compose(environment: Mapping[str, str]) -> dict[str, Any]:
    """The file with an environment put in, as an engine would run it.

    Raises:
        Missing: a variable without a default is not set.
    """
    return filled(written_compose(), environment)


def written_compose() -> dict[str, Any]:
    """The file as it is written, anchors and merges resolved."""
    return yaml.safe_load(COMPOSE_FILE.read_text())


def filled(node: Any, environment: Mapping[str, str]) -> Any:
    """A part of the file with its `${…}` replaced."""
    if isinstance(node, dict):
        return {key: filled(value, environment) for key, value in node.items()}
    if isinstance(node, list):
        return [filled(each, environment) for each in node]
    return _VARIABLE.sub(lambda found: _value(found, environment), node) if isinstance(node, str) else node


def _value(found: re.Match[str], environment: Mapping[str, str]) -> str:
    if found["escaped"]:
        return "$"
    value = environment.get(found["name"], "")
    if not value and found["how"] == "?":
        raise Missing(found["name"])
    return value or (found["rest"] or "" if found["how"] == "-" else "")


def variables(compose: dict[str, Any]) -> dict[str, str | None]:
    """Every variable that the file names, with its default, or None where it insists on a value."""
    texts = (value for _, value in scalars(compose) if isinstance(value, str))
    found = (match for text in texts for match in _VARIABLE.finditer(text) if match["name"])
    return {match["name"]: match["rest"] if match["how"] == "-" else None for match in found}


def scalars(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is not a mapping or list, with the nearest key above it."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from scalars(value, str(name))
    elif isinstance(node, list):
        for value in node:
            yield from scalars(value, key)
    else:
        yield key, node


def problems(compose: dict[str, Any]) -> list[str]:
    """What breaks a rule of ours in a file as it is written; empty if nothing does."""
    found = [f"{key} has its value in the file" for key, value in scalars(compose) if _gives_a_secret_away(key, value)]
    for name, service in compose["services"].items():
        found += [f"{name}: {problem}" for problem in _problems_of(name, service, compose)]
    if not compose["networks"]["inside"].get("internal"):
        found.append("the network inside is not internal")
    return found


def _gives_a_secret_away(key: str, value: Any) -> bool:
    return bool(_SECRET.search(key)) and isinstance(value, str) and not re.fullmatch(r"\$\{\w+:\?[^}]*\}", value)


def _problems_of(name: str, service: dict[str, Any], compose: dict[str, Any]) -> Iterator[str]:
    yield from _problems_of_running(name, service)
    if not _PINNED.fullmatch(filled(service["image"], {})):
        yield f"the image {service['image']} is not pinned"
    if service["image"].startswith(OURS) and service.get("pull_policy") != "never":
        yield "our own image might be pulled from somewhere"
    if service.get("ports") and name not in PUBLIC:
        yield "publishes a port"
    if not all(port.startswith("${DANGOL_HTTP_ADDRESS:-127.0.0.1}:") for port in service.get("ports", ())):
        yield "publishes beyond loopback unless told so"
    if set(service["networks"]) - {"inside"} and name not in PUBLIC:
        yield "is on a network that leads out"
    for mount in service.get("volumes", ()):
        source, *_, mode = filled(mount, {}).split(":")
        if source.startswith("."):
            if not (ROOT / source).exists():
                yield f"mounts {source}, which is not there"
            if mode != "ro":
                yield f"may write {source}"
        elif source not in compose["volumes"]:
            yield f"mounts {source}, which is no volume"


def _problems_of_running(name: str, service: dict[str, Any]) -> Iterator[str]:
    wanted = {
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "restart": "no" if name in ONE_SHOT else "unless-stopped",
    }
    for setting, value in wanted.items():
        if service.get(setting) != value:
            yield f"{setting} is {service.get(setting)!r}"
    if not {"cpus", "memory", "pids"} <= set(service.get("deploy", {}).get("resources", {}).get("limits", {})):
        yield "has no limits"
    if not {"max-size", "max-file"} <= set(service.get("logging", {}).get("options", {})):
        yield "may fill the disk with its log"
    check = service.get("healthcheck", {})
    if name not in ONE_SHOT and not {"test", "interval", "timeout", "retries", "start_period"} <= set(check):
        yield "has no health check"
    if service.get("privileged") or service.get("cap_add") or service.get("user", "").startswith(("0", "root")):
        yield "has more rights than it needs"
    if any("size=" not in mount for mount in service.get("tmpfs", ())):
        yield "has a tmpfs without a bound"
