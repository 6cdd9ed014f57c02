"""How the package is built and released: what several files say about it agrees, and nothing unpinned takes part."""

import re
import tomllib
from pathlib import Path

import pytest

import cbackprop

TREE = Path(__file__).parents[1]
PROJECT = tomllib.loads((TREE / "pyproject.toml").read_text(encoding="utf-8"))
WORKFLOWS = {path.name: path.read_text(encoding="utf-8") for path in (TREE / ".github" / "workflows").glob("*")}
WHEELS = PROJECT["tool"]["cibuildwheel"]
PYTHONS = sorted(
    int(minor) for name in PROJECT["project"]["classifiers"] for minor in re.findall(r"Python :: 3\.(\d+)$", name)
)


def text(path: str) -> str:
    return (TREE / path).read_text(encoding="utf-8")


def test_wheels_are_built_for_the_pythons_of_the_classifiers():
    assert WHEELS["build"] == [f"cp3{minor}-*" for minor in PYTHONS]
    assert PROJECT["project"]["requires-python"] == f">=3.{PYTHONS[0]}"


def test_style_and_types_are_those_of_the_oldest_python():
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py3{PYTHONS[0]}"
    assert PROJECT["tool"]["mypy"]["python_version"] == f"3.{PYTHONS[0]}"


def sessions() -> dict[str, str]:
    """The sessions of noxfile.py, and the arguments of their decorators."""
    found = re.findall(r"^@nox\.session(.*)\n(?:@.*\n)*def (\w+)", text("noxfile.py"), re.MULTILINE)
    return {(re.search(r'name="(.*?)"', arguments) or ["", name])[1]: arguments for arguments, name in found}


@pytest.mark.parametrize("path", [".ci/run", ".github/workflows/ci.yaml"])
def test_every_session_is_run(path):
    run = set(re.findall(r"[\w.-]+", text(path)))
    wanted = {name for name, arguments in sessions().items() if "default=False" not in arguments}
    assert len(wanted) > 10
    assert wanted - run - {"sdist"} == {"readme", "tests"}  # what needs an sdist builds one
    assert {f"readme-3.{PYTHONS[0]}", f"readme-3.{PYTHONS[-1]}", f"tests-3.{PYTHONS[-1]}t"} <= run
    assert [minor for minor in PYTHONS if not {f"readme-3.{minor}", f"tests-3.{minor}"} & run] == []


def test_every_python_is_installed_for_the_workflow():
    installed = re.findall(r"^ +(3\.\d+)$", WORKFLOWS["ci.yaml"], re.MULTILINE)
    assert installed == [f"3.{minor}" for minor in reversed(PYTHONS)]
    assert f"python{installed[-1]} -m venv" in text(".ci/run")


def test_tests_of_a_wheel_exist():
    files = [word for word in WHEELS["test-command"].split() if word.endswith(".py")]
    assert files
    assert [name for name in [*files, *WHEELS["test-sources"]] if not (TREE / name).exists()] == []


def test_installation_lists_every_extra_of_a_user():
    extras = list(PROJECT["project"]["optional-dependencies"])
    listed = re.findall(r"^\| `(\w+)` \|", text("docs/installation.md"), re.MULTILINE)
    assert sorted(listed) == sorted(extras[: extras.index("test")])


def test_version_stands_in_one_place():
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "cbackprop.__version__"}
    line = f'__version__ = "{cbackprop.__version__}"'
    assert line in text("cbackprop/__init__.py").splitlines()
    # that line is what the tag is compared with
    tag = re.search(r'grep -Fx "(.*)" cbackprop/__init__\.py', WORKFLOWS["release.yaml"])[1]
    assert tag.replace("\\", "").replace("${GITHUB_REF_NAME#v}", cbackprop.__version__) == line


def test_changelog_has_room_for_what_comes_and_dates_for_what_was():
    first, *released = re.findall(r"^## (.*)", text("CHANGELOG.md"), re.MULTILINE)
    assert first == "[Unreleased]"
    assert [entry for entry in released if not re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", entry)] == []


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_to_commits(name):
    used = re.findall(r"uses: (.*)", WORKFLOWS[name])
    pinned = r"\./\.github/workflows/[\w.]+|[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+"
    assert used
    assert [action for action in used if not re.fullmatch(pinned, action)] == []


def test_an_action_has_one_version():
    used = {action for workflow in WORKFLOWS.values() for action in re.findall(r"uses: (.*@.*)", workflow)}
    assert len({action.partition("@")[0] for action in used}) == len(used)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_may_read_and_only_publishing_may_more(name):
    assert "\npermissions:\n  contents: read\n" in WORKFLOWS[name]
    more = ["id-token: write"] if name == "release.yaml" else []
    assert re.findall(r"[\w-]+: write|write-all|secrets", WORKFLOWS[name]) == more
    # what fetches the source doesn't keep a key to it
    assert WORKFLOWS[name].count("actions/checkout") == WORKFLOWS[name].count("persist-credentials: false")


def test_publishing_waits_for_approval_and_runs_nothing_of_the_source():
    publish = WORKFLOWS["release.yaml"].partition("\n  publish:\n")[2]
    assert [line for line in ("needs: wheels", "environment: pypi", "id-token: write") if line not in publish] == []
    assert "checkout" not in publish
    assert "run:" not in publish


def test_releasing_names_what_there_is():
    releasing = text("RELEASING.md")
    names = set(re.findall(r"`([\w.-]+\.yaml|pypi)`", releasing))
    assert names == {"release.yaml", "pypi"}
    assert set(re.findall(r"`nox -s ([a-z-]+)`", releasing)) - sessions().keys() == set()
    paths = re.findall(r"\]\((?!http)(.*?)\)|python (\S+\.py)", releasing)
    assert paths
    assert [path for path in map("".join, paths) if not (TREE / path).exists()] == []
