"""`docker-compose.yml` keeps the published schema and our own rules; no container engine is needed to know."""

from __future__ import annotations

import copy
import json
import tomllib
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import click
import pytest
from jsonschema import Draft202012Validator

from serving.cli import main
from serving.configuration import load_configuration
from tests.support.compose import (
    COMPOSE_FILE,
    OURS,
    ROOT,
    Missing,
    environment_example,
    problems,
    read_compose,
    variables,
    written_compose,
)
from tests.support.deployed import EXAMPLE
from tests.support.kafka import POM

SCHEMA = json.loads((ROOT / "tests/support/compose_spec/compose-spec.json").read_text())
ENVIRONMENT = environment_example() | {"DANGOL_REDIS_PASSWORD": "of-this-test"}
Damage = Callable[[dict[str, Any]], object]


@pytest.fixture
def compose() -> dict[str, Any]:
    """The file as an engine would run it with `.env.example` and a password."""
    return read_compose(ENVIRONMENT)


def against_schema(compose: dict[str, Any]) -> list[str]:
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(compose)]


def test_the_file_follows_the_published_schema(compose: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert against_schema(compose) == []


def test_a_misspelled_setting_would_be_noticed(compose: dict[str, Any]) -> None:
    compose["services"]["serve"]["read_onyl"] = True
    (problem,) = against_schema(compose)
    assert "read_onyl" in problem


def test_the_file_keeps_the_rules_of_the_house() -> None:
    assert problems(written_compose()) == []


DAMAGES: dict[str, Damage] = {
    "is not pinned": lambda services: services["redis"].update(image="redis:latest"),
    "pulled from somewhere": lambda services: services["init"].pop("pull_policy"),
    "publishes a port": lambda services: services["kafka"].update(
        ports=["${DANGOL_HTTP_ADDRESS:-127.0.0.1}:9092:9092"]
    ),
    "beyond loopback": lambda services: services["serve"].update(ports=["8000:8000"]),
    "leads out": lambda services: services["redis"].update(networks=["inside", "front"]),
    "is not there": lambda services: services["redis"]["volumes"].append("./nowhere:/x:ro"),
    "may write": lambda services: services["redis"]["volumes"].append("./examples:/x:rw"),
    "is no volume": lambda services: services["redis"]["volumes"].append("unknown:/x"),
    "read_only is False": lambda services: services["trainer"].update(read_only=False),
    "cap_drop is None": lambda services: services["trainer"].pop("cap_drop"),
    "restart is None": lambda services: services["projector"].pop("restart"),
    "has no limits": lambda services: services["serve"]["deploy"]["resources"]["limits"].pop("memory"),
    "fill the disk": lambda services: services["kafka"].pop("logging"),
    "has no health check": lambda services: services["projector"].update(healthcheck={"disable": True}),
    "more rights": lambda services: services["redis"].update(user="0:0"),
    "without a bound": lambda services: services["redis"].update(tmpfs=["/tmp"]),
    "has its value in the file": lambda services: services["redis"]["environment"].update(REDISCLI_AUTH="hunter2"),
}


@pytest.mark.parametrize("problem", DAMAGES)
def test_a_broken_rule_would_be_noticed(problem: str) -> None:
    damaged = copy.deepcopy(written_compose())
    DAMAGES[problem](damaged["services"])
    (found,) = problems(damaged)
    assert problem in found


def test_nothing_starts_without_a_password() -> None:
    with pytest.raises(Missing, match="DANGOL_REDIS_PASSWORD"):
        read_compose(environment_example())


def test_the_example_of_the_environment_names_every_variable_with_its_default() -> None:
    named = {name: default or "" for name, default in variables(written_compose()).items()}
    assert environment_example() == named


def test_the_environment_is_kept_out_of_the_repository_and_of_the_image() -> None:
    assert "/.env" in (ROOT / ".gitignore").read_text().splitlines()
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"


def test_no_setting_that_is_mounted_holds_a_secret() -> None:
    for file in EXAMPLE.rglob("*"):
        if file.is_file():
            lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith(("#", "|"))]
            assert not [line for line in lines if "requirepass" in line or "password =" in line], file


def test_data_is_kept_in_the_volumes_that_the_settings_name(compose: dict[str, Any]) -> None:
    services = compose["services"]
    kafka = (EXAMPLE / "kafka/server.properties").read_text().splitlines()
    (broker_data,) = (mount.split(":")[1] for mount in services["kafka"]["volumes"] if mount.startswith("kafka:"))
    (states_data,) = (mount.split(":")[1] for mount in services["redis"]["volumes"] if mount.startswith("redis:"))
    assert f"log.dirs={broker_data}" in kafka
    assert f" --dir {states_data} " in services["redis"]["command"][0]


def test_the_configuration_names_the_services_where_they_listen(compose: dict[str, Any]) -> None:
    places = tomllib.loads((EXAMPLE / "dangol.toml").read_text())["distributed"]
    kafka = (EXAMPLE / "kafka/server.properties").read_text().splitlines()
    assert places["kafka"].split(":")[0] in compose["services"]
    assert f"advertised.listeners=PLAINTEXT://{places['kafka']}" in kafka
    assert places["redis"] == "redis://redis:6379/0"
    assert "redis" in compose["services"]
    assert "port 6379" in (EXAMPLE / "redis/redis.conf").read_text().splitlines()


def test_versions_are_those_of_the_package_and_of_the_tests(compose: dict[str, Any]) -> None:
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert compose["services"]["serve"]["image"] == f"{OURS}{ours}"
    assert f"ARG VERSION={ours}" in (ROOT / "Dockerfile").read_text()
    tested = {element.text for element in ElementTree.parse(POM).iter() if element.tag.endswith("version")}
    assert compose["services"]["kafka"]["image"].split(":")[1] in tested


def test_the_configuration_that_is_mounted_can_be_read() -> None:
    assert load_configuration(EXAMPLE / "dangol.toml", required=True).distributed is not None


def parsed(arguments: list[str]) -> click.Context:
    """What `dangol` makes of a command line, without doing it; wrong usage raises."""
    command: click.Command = main
    while isinstance(command, click.Group):
        name, *arguments = arguments
        assert name in command.commands, f"there is no command {name}"
        command = command.commands[name]
    return command.make_context(name, arguments)


@pytest.mark.parametrize("service", ["init", "serve", "projector", "trainer"])
def test_the_command_line_of_a_service_is_understood(service: str, compose: dict[str, Any]) -> None:
    assert parsed(compose["services"][service]["command"]).params


def test_every_service_of_our_image_has_its_command_line_checked(compose: dict[str, Any]) -> None:
    ours = {name for name, service in compose["services"].items() if service["image"].startswith(OURS)}
    assert ours == {"init", "serve", "projector", "trainer"}


def test_the_commands_that_the_file_advises_are_understood() -> None:
    advised = [
        line.split("run --rm init ")[1] for line in COMPOSE_FILE.read_text().splitlines() if "--rm init " in line
    ]
    assert advised
    for line in advised:
        assert parsed(line.split("#")[0].split()).params
