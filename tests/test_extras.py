"""Optional packages: imported on use, and named with the command that installs them if missing."""

import json
import sys

import pytest

from cbackprop._extras import require


def test_an_installed_package_is_imported():
    assert require("json", "cli") is json
    assert require("xml.dom", "cli") is sys.modules["xml.dom"]


@pytest.mark.parametrize("module", ["no_such_package", "no_such_package.part"])
def test_a_missing_package_is_named_with_its_extra(module):
    with pytest.raises(ModuleNotFoundError) as caught:
        require(module, "river")
    message = 'no_such_package is not installed; to install it: pip install "cbackprop[river]"'
    assert (str(caught.value), caught.value.name) == (message, "no_such_package")
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("missing", ["json.no_such_part", "broken"])
def test_errors_inside_a_package_are_not_hidden(tmp_path, monkeypatch, missing):
    # a package that is installed, but lacks a module or a dependency of its own
    (tmp_path / "broken.py").write_text("import no_such_dependency")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="No module named"):
        require(missing, "cli")
