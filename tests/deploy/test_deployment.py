"""Files of deployment keep in step with the package: no engine is needed to see that."""

import configparser
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

from oodseg.cli.main import app
from oodseg.service.app import create_app
from oodseg.service.settings import Settings

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
KNOWN = {f"OODSEG_{name.upper()}" for name in Settings.model_fields}


def instructions():
    """Instruction and argument of every logical line of the Dockerfile."""
    text = re.sub(r"^\s*#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word, " ".join(rest.split())


LINES = list(instructions())


def of(word):
    return [rest for each, rest in LINES if each == word]


def compose():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def unit():
    found = configparser.RawConfigParser(strict=False)
    found.optionxform = str
    found.read_string((DEPLOY / "oodseg.service").read_text())
    return found


def paths():
    return set(create_app(Settings()).openapi()["paths"])


def test_instructions_are_known_and_in_order() -> None:
    known = {"FROM", "ARG", "ENV", "RUN", "WORKDIR", "COPY", "LABEL", "USER", "VOLUME", "EXPOSE"}
    assert {word for word, _ in LINES} <= known | {"STOPSIGNAL", "HEALTHCHECK", "CMD"}
    assert LINES[0][0] == "FROM"
    assert LINES[-1] == ("CMD", '["oodseg", "serve"]')
    assert len(of("HEALTHCHECK")) == len(of("CMD")) == 1


def test_images_have_versions_and_fit_the_package() -> None:
    bases = [base.split()[0] for base in of("FROM")]
    bases += [service["image"] for service in compose()["services"].values() if "build" not in service]
    assert all(re.search(r":v?\d", base) for base in bases), bases
    versions = {re.match(r"python:(\d+\.\d+)-", base)[1] for base in bases if base.startswith("python")}
    (version,) = versions
    assert f"Programming Language :: Python :: {version}" in PROJECT["classifiers"]


def test_what_is_installed_is_pinned() -> None:
    (install,) = [line for line in of("RUN") if "pip install" in line]
    words = shlex.split(install)
    extra = re.search(r"\[(\w+)\]", words[-1])[1]
    assert words[words.index("--constraint") + 1] == "constraints.txt"
    pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    wanted, seen = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"][extra]], set()
    while wanted:
        name, more = re.match(r"([\w.-]+)(?:\[(\w+)\])?", wanted.pop()).groups()
        if name == "oodseg":
            wanted += PROJECT["optional-dependencies"][more]
        else:
            seen.add(name.lower())
    assert {"fastapi", "torch", "av"} <= seen
    assert seen <= pinned, f"constraints.txt pins no {seen - pinned}"


def test_what_is_copied_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    for line in of("COPY"):
        if line.startswith("--from"):
            continue
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert f"!{source}" in ignored, f"{source} is not sent to the engine"


def test_nobody_is_root() -> None:
    (user,) = of("USER")
    assert user.isdecimal()
    assert int(user) > 0
    after = [word for word, _ in LINES[LINES.index(("USER", user)) :]]
    assert not {"RUN", "COPY"} & set(after)
    for service in compose()["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "privileged" not in service
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert unit()["Service"]["DynamicUser"] == "yes"


def test_settings_and_ports_are_those_of_the_service() -> None:
    texts = [(DEPLOY / name).read_text() for name in ("Dockerfile", "compose.yaml", "oodseg.service")]
    named = set(re.findall(r"\bOODSEG_[A-Z_]+", " ".join(texts)))
    assert named
    assert named <= KNOWN, named - KNOWN
    port = str(Settings.model_fields["port"].default)
    assert of("EXPOSE") == [port]
    assert f":{port}/" in of("HEALTHCHECK")[0]
    targets = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"][0]
    assert targets["static_configs"][0]["targets"] == [f"oodseg:{port}"]
    assert targets["metrics_path"] in paths()
    assert re.search(rf":{port}(/\w+)", of("HEALTHCHECK")[0])[1] in paths()
    assert (DEPLOY / "prometheus.yml").name in compose()["services"]["prometheus"]["volumes"][0]


@pytest.mark.parametrize("words", [shlex.split(unit()["Service"]["ExecStart"]), ["", "serve"]])
def test_the_command_exists(words) -> None:
    assert words[1] in typer.main.get_command(app).commands


def test_time_to_stop_is_longer_than_the_service_takes() -> None:
    seconds = Settings.model_fields["shutdown_seconds"].default
    assert int(unit()["Service"]["TimeoutStopSec"]) > seconds
    grace = compose()["services"]["oodseg"]["stop_grace_period"]
    assert int(grace.removesuffix("s")) > seconds
