"""Keep punctuation on the line of the formula before it."""

import re

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform


class KeepPunctuation(SphinxPostTransform):
    """Put a formula and the punctuation after it in an element that does not wrap."""

    default_priority = 900

    def run(self, **kwargs) -> None:
        for formula in list(self.document.findall(nodes.math)):
            parent, place = formula.parent, formula.parent.index(formula)
            after = next(iter(parent[place + 1 : place + 2]), None)
            if isinstance(after, nodes.Text):
                mark = re.match(r"[.,:;)。、）」]*", after)[0]
                kept = nodes.inline("", "", formula.deepcopy(), nodes.Text(mark))
                kept["classes"].append("nowrap")
                parent[place : place + 2] = [kept, nodes.Text(after[len(mark) :])]


def setup(app):
    app.add_post_transform(KeepPunctuation)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
