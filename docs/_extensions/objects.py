"""Link the first mention of an object on a page of prose, such as `Network.fit`."""

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode


class LinkObjects(SphinxPostTransform):
    """Link literals to their entry in the reference, if it is the only one."""

    default_priority = 5

    def run(self, **kwargs) -> None:
        page, linked = self.env.docname, set()
        if page.startswith(("reference/", "gallery/", "_modules/")):
            return
        objects = self.env.domains["py"].objects
        for literal in list(self.document.findall(nodes.literal)):
            name = literal.astext().partition("(")[0]
            if "." not in name and not name[:1].isupper():  # a word, such as fit
                continue
            name = name.removeprefix("cbackprop.")
            found = [full for full in objects if f".{full}".endswith(f".{name}")]
            inside = isinstance(literal.parent, (nodes.reference, nodes.title))
            if len(found) == 1 and not inside and found[0] not in linked:
                linked.add(found[0])
                entry, text = objects[found[0]], literal.deepcopy()
                link = make_refnode(
                    self.app.builder, page, entry.docname, entry.node_id, text
                )
                literal.replace_self(link)


def setup(app):
    app.add_post_transform(LinkObjects)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
