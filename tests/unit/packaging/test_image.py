"""The Dockerfile passes a linter and our own rules; no container engine is needed to know."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.support.compose import ROOT

DOCKERFILE = ROOT / "Dockerfile"
ENTRYPOINT = ROOT / "examples/distributed/entrypoint"
LINTER = Path(sysconfig.get_path("scripts")) / "hadolint"


def instructions(text: str) -> list[tuple[str, str]]:
    """Every instruction with its arguments on one line; comments are left out."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", lines)
    return [(line.split(None, 1)[0].upper(), line.split(None, 1)[1]) for line in joined.splitlines() if line.strip()]


def problems(text: str) -> list[str]:
    """What breaks a rule of ours."""
    found = []
    written = instructions(text)
    last_stage = written[max(index for index, (name, _) in enumerate(written) if name == "FROM") :]
    if not re.search(r"(?m)^ARG PYTHON=\d+\.\d+\.\d+$", text) or not all(
        re.match(r"python:\$\{PYTHON\}-[a-z-]+", rest) for name, rest in written if name == "FROM"
    ):
        found.append("a base is not pinned")
    found += ["ADD is used" for name, _ in written if name == "ADD"]
    users = [rest for name, rest in last_stage if name == "USER"]
    if not users or not re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1]):
        found.append("it does not end as a user with a fixed number")
    commands = {name: rest.removeprefix(rest.split("CMD ")[0] + "CMD ") for name, rest in last_stage}
    for name in ("ENTRYPOINT", "CMD", "HEALTHCHECK"):
        if not commands.get(name, "").startswith("["):
            found.append(f"{name} is not in exec form")
    for name, rest in written:
        if name == "RUN" and "apt-get install" in rest:
            if "rm -rf /var/lib/apt/lists" not in rest:
                found.append("lists of packages are left in a layer")
            if re.search(r"gcc|g\+\+|build-essential", rest):
                found.append("a compiler is installed")
    if not any("--require-hashes" in rest for name, rest in written if name == "RUN"):
        found.append("wheels are taken without their hashes")
    return found


DAMAGES = {
    "is not pinned": ("FROM python:${PYTHON}-slim-bookworm", "FROM python:3.11-slim-bookworm"),
    "ADD is used": ("COPY requirements.lock ./", "ADD https://example.com/requirements.lock ./"),
    "fixed number": ("USER 10001:10001", "USER root"),
    "ENTRYPOINT is not": ('ENTRYPOINT ["tini", "--", "dangol-entrypoint"]', "ENTRYPOINT tini -- dangol-entrypoint"),
    "lists of packages": ("    && rm -rf /var/lib/apt/lists/* \\\n", ""),
    "a compiler": ("libgomp1 tini", "libgomp1 tini gcc"),
    "without their hashes": ("--require-hashes ", ""),
}


def test_the_dockerfile_keeps_the_rules_of_the_house() -> None:
    assert problems(DOCKERFILE.read_text()) == []


@pytest.mark.parametrize("problem", DAMAGES)
def test_a_broken_rule_would_be_noticed(problem: str) -> None:
    right, wrong = DAMAGES[problem]
    assert right in DOCKERFILE.read_text()
    found = problems(DOCKERFILE.read_text().replace(right, wrong))
    assert len(found) == 1
    assert problem in found[0]


def lint(text: str) -> str:
    finished = subprocess.run(
        [LINTER, "--no-color", "--no-fail", "-"], input=text, capture_output=True, text=True, check=True, timeout=60
    )
    return finished.stdout


needs_linter = pytest.mark.skipif(
    sys.platform not in ("linux", "darwin") and not LINTER.exists(), reason="hadolint is not published for this system"
)


@needs_linter
def test_the_linter_has_nothing_to_say_about_the_dockerfile() -> None:
    assert lint(DOCKERFILE.read_text()) == ""


@needs_linter
def test_the_linter_would_have_something_to_say() -> None:
    assert "DL3006" in lint("FROM debian\nUSER root\n")


def test_the_image_is_sent_what_it_copies_and_nothing_else() -> None:
    copied = {
        source
        for name, rest in instructions(DOCKERFILE.read_text())
        if name == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    }
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert {line[1:] for line in lines if line.startswith("!")} == copied
    assert all((ROOT / source).exists() for source in copied)
    assert next(line for line in lines if not line.startswith("#")) == "*"


def test_every_package_is_in_the_image() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    copied = {rest.split()[0] for name, rest in instructions(DOCKERFILE.read_text()) if name == "COPY"}
    assert packages <= copied


def test_the_entrypoint_brings_the_kernels_to_memory_and_becomes_dangol(tmp_path: Path) -> None:
    assert ENTRYPOINT.stat().st_mode & stat.S_IXOTH
    kernels, programs, memory = tmp_path / "kernels", tmp_path / "bin", tmp_path / "memory"
    kernels.mkdir()
    programs.mkdir()
    (kernels / "compiled.nbc").write_bytes(b"machine code")
    (programs / "dangol").write_text('#!/bin/sh\nprintf "%s|" "$$" "$@"\n')
    (programs / "dangol").chmod(0o755)
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "NUMBA_CACHE_DIR": str(memory),
        "DANGOL_KERNELS": str(kernels),
    }
    for _ in range(2):  # a container that is started again finds its own copy
        process = subprocess.Popen([ENTRYPOINT, "serve", "--port", "1 2"], env=environment, stdout=subprocess.PIPE)
        output, _ = process.communicate(timeout=30)
        assert output.decode() == f"{process.pid}|serve|--port|1 2|"
        assert (memory / "compiled.nbc").read_bytes() == b"machine code"


def test_the_health_check_of_the_image_is_that_of_the_service() -> None:
    written = dict(instructions(DOCKERFILE.read_text()))
    check = json.loads(written["HEALTHCHECK"].split("CMD ", 1)[1])
    assert shutil.which(check[0]) or check[0] == "python"
    compile(check[2], "health check", "exec")
    assert "/healthz" in check[2]
