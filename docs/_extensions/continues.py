"""Mark the code blocks of a page that need names of blocks above them."""

import ast

from docutils import nodes
from sphinx.transforms import SphinxTransform

READ_FIRST = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr)  # then written


def names(node: ast.AST) -> tuple[set[str], set[str]]:
    """The names that a statement reads, and those that it defines."""
    read, defined = set(), set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            (read if isinstance(part.ctx, ast.Load) else defined).add(part.id)
        elif isinstance(part, ast.alias):
            defined.add((part.asname or part.name).partition(".")[0])
        elif isinstance(part, ast.arg):
            defined.add(part.arg)
        elif isinstance(part, (ast.FunctionDef, ast.ClassDef)):
            defined.add(part.name)
    if isinstance(node, ast.AugAssign):
        read |= defined
    return read if isinstance(node, READ_FIRST) else read - defined, defined


def needed(code: str) -> tuple[set[str], set[str]]:
    """Names that a block reads before it defines them, and those it defines."""
    free: set[str] = set()
    known: set[str] = set()
    for statement in ast.parse(code).body:
        read, defined = names(statement)
        free |= read - known
        known |= defined
    return free, known


class MarkContinued(SphinxTransform):
    """Give such blocks a class; the style sheet says what it means."""

    default_priority = 300

    def apply(self, **kwargs) -> None:
        above: set[str] = set()
        for block in self.document.findall(nodes.literal_block):
            captioned = isinstance(block.parent, nodes.container)  # a file
            if block.get("language") == "python" and not captioned:
                free, known = needed(block.astext())
                if free & above:
                    block["classes"].append("continues")
                above |= known


def setup(app):
    app.add_transform(MarkContinued)
    return {"parallel_read_safe": True}
