"""``{kernel} equations.pxi softmax`` shows a kernel function, with its comment."""

import re
from pathlib import Path

from docutils import nodes
from sphinx.directives.code import container_wrapper
from sphinx.util.docutils import SphinxDirective

KERNELS = Path(__file__).parents[2] / "cbackprop" / "kernels"


def extract(path: Path, function: str) -> tuple[str, int]:
    """Return the function with its comment, and the number of its first line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    starts = [
        n for n, line in enumerate(lines) if re.match(rf"cdef .*\b{function}\(", line)
    ]
    if len(starts) != 1:
        raise LookupError(
            f"{path.name} has {len(starts)} functions named {function}, not one"
        )
    (start,) = starts
    first, end = start, start + 1
    while first and lines[first - 1].startswith("#"):
        first -= 1
    while end < len(lines) and not re.match(r"\S", lines[end]):
        end += 1
    return "\n".join(lines[first:end]).rstrip(), start + 1


class Kernel(SphinxDirective):
    """Show a kernel function; an unknown function is a build error."""

    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        file, function = self.arguments
        self.env.note_dependency(str(KERNELS / file))
        try:
            code, line = extract(KERNELS / file, function)
        except (LookupError, OSError) as error:
            raise self.error(str(error)) from error
        block = nodes.literal_block(code, code, language="cython")
        self.set_source_info(block)
        japanese = self.env.docname.startswith("ja/")
        place = f"、{line} 行目" if japanese else f", line {line}"
        link = f"{{download}}`kernels/{file} </../cbackprop/kernels/{file}>`"
        return [container_wrapper(self, block, link + place)]


def setup(app):
    app.add_directive("kernel", Kernel)
    return {"parallel_read_safe": True}
