"""Packages that only some parts need: imported on use, and named with the command that installs them if missing."""

import importlib
from types import ModuleType


def require(module: str, extra: str) -> ModuleType:
    """Import `module`, which comes with the optional dependencies `extra`.

    Raises
    ------
    ModuleNotFoundError
        The package is not installed. The message holds the pip command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name != package:
            raise
        message = f'{package} is not installed; to install it: pip install "cbackprop[{extra}]"'
        raise ModuleNotFoundError(message, name=package) from None
