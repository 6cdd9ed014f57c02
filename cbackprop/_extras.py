"""Optional dependencies: imported on first use; if one is missing, the error names the command that installs it."""

import importlib
from types import ModuleType


def require(module: str, extra: str) -> ModuleType:
    """Import `module`, which the optional dependencies `extra` install.

    Raises
    ------
    ModuleNotFoundError
        If the package is not installed. The message contains the pip command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name != package:  # the package is installed, but lacks a dependency of its own
            raise
        message = f'{package} is not installed; to install it: pip install "cbackprop[{extra}]"'
        raise ModuleNotFoundError(message, name=package) from None
