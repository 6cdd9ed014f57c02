"""Link the first mention of an object on a page of prose, such as `Network.fit`.

Objects of other libraries stand in docs/inventories, so a build needs no network.
"""

import re
from itertools import accumulate

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.ext.intersphinx import InventoryAdapter
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

INSTANCES = {"np": "numpy", "network": "Network", "ensemble": "Ensemble"}


class LinkObjects(SphinxPostTransform):
    """Link literals to the entry that they name: the only one, or the one imported."""

    default_priority = 5

    def run(self, **kwargs) -> None:
        page, linked = self.env.docname, set()
        if page.startswith(("reference/", "gallery/", "_modules/")):
            return
        self.here = self.env.domains["py"].objects
        types = InventoryAdapter(self.env).main_inventory.items()
        self.elsewhere = {
            name: item
            for kind, items in types
            if kind.startswith("py:")
            for name, item in items.items()
        }
        code = self.document.findall(nodes.literal_block)
        self.code = "\n".join(block.astext() for block in code)
        for literal in list(self.document.findall(nodes.literal)):
            found = self.find(literal.astext().partition("(")[0])
            if found and found not in linked and not self.inside(literal):
                linked.add(found)
                literal.replace_self(self.link(found, literal.deepcopy()))

    def inside(self, node: nodes.Node) -> bool:
        """Whether a node is part of a link or a title."""
        while node := node.parent:
            if isinstance(node, (nodes.reference, nodes.title, pending_xref)):
                return True
        return False

    def find(self, name: str) -> str | None:
        """The full name of the object that is meant."""
        if not re.search(r"\w[._]\w|^[A-Z]", name):  # a word, such as fit
            return None
        first, dot, rest = name.partition(".")
        name = INSTANCES.get(first, first) + dot + rest
        full = [each for each in (*self.here, *self.elsewhere) if "._" not in each]
        found = [each for each in full if f".{each}".endswith(f".{name}")]
        if len(found) > 1:
            found = [each for each in found if self.imports(each)]
        return found[0] if len(found) == 1 else None

    def imports(self, full: str) -> bool:
        """Whether the code of the page imports the object, its class or its library."""
        parts = full.split(".")
        if parts[0] != "cbackprop":
            return bool(re.search(rf"^(from|import) {parts[0]}\b", self.code, re.M))
        return any(
            re.search(rf"^from {module} import .*\b{name}\b", self.code, re.M)
            for module, name in zip(
                accumulate(parts, "{}.{}".format), parts[1:], strict=False
            )
        )

    def link(self, full: str, text: nodes.literal) -> nodes.reference:
        if full in self.here:
            entry, page = self.here[full], self.env.docname
            builder = self.app.builder
            return make_refnode(builder, page, entry.docname, entry.node_id, text)
        uri = self.elsewhere[full].uri
        return nodes.reference("", "", text, internal=False, refuri=uri)


def setup(app):
    app.add_post_transform(LinkObjects)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
