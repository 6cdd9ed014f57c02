"""Pages in ja/: their paragraphs, and Japanese words and links around them."""

import re
from pathlib import Path

import pydata_sphinx_theme
import sphinx.locale
from babel.messages.pofile import read_po

CATALOGS = (
    Path(sphinx.locale.__file__).with_name("ja") / "LC_MESSAGES/sphinx.po",
    Path(pydata_sphinx_theme.__file__).parent / "locale/ja/LC_MESSAGES/sphinx.po",
    Path(__file__).parents[1] / "locale/ja/LC_MESSAGES/navigation.po",
)
LABEL = r'(?<= title=")[^"]+|(?<= aria-label=")[^"]+|(?<= placeholder=")[^"]+'
TEXT = r"(?<=>)[^<>]+(?=<)"


def words() -> dict[str, str]:
    """What Sphinx, the theme and this site translate."""
    found: dict[str, str] = {}
    for path in CATALOGS:
        with path.open("rb") as file:
            messages = list(read_po(file))
        found |= {each.id: each.string for each in messages if each.id and each.string}
    return found


def translate(html: str, known: dict[str, str], pages: list[str]) -> str:
    """Translate what surrounds an article; link to Japanese pages there."""

    def word(match: re.Match) -> str:
        text = match[0].strip()
        return match[0].replace(text, known[text]) if text in known else match[0]

    before, start, article = html.partition("<article")
    article, end, after = article.rpartition("</article>")
    for page in pages:
        before = re.sub(rf'(href="(?:\.\./)+)(?={page}\.html)', r"\1ja/", before)
    before, after = (re.sub(f"{LABEL}|{TEXT}", word, part) for part in (before, after))
    return before + start + re.sub(LABEL, word, article) + end + after


def join_lines(app, page, source):
    """Join the lines of paragraphs: browsers render line breaks as spaces."""
    if page.startswith("ja/"):
        source[0] = re.sub(
            r"(?<=[、。])\n *(?=[^\n\d-])|(?<=[^\x00-\x7f])\n *(?=[^\x00-\x7f])",
            "",
            source[0],
        )


def set_language(app, page, template, context, doctree):
    """Declare the language: fonts and screen readers depend on it."""
    if page.startswith("ja/"):
        context["language"] = "ja"


def translate_pages(app, exception):
    """Translate what surrounds the paragraphs."""
    if exception is None and app.builder.format == "html":
        known = words()
        pages = [page[3:] for page in app.env.found_docs if page.startswith("ja/")]
        for page in pages:
            path = Path(app.outdir, "ja", f"{page}.html")
            html = translate(path.read_text(encoding="utf-8"), known, pages)
            path.write_text(html, encoding="utf-8")


def setup(app):
    app.connect("source-read", join_lines)
    app.connect("html-page-context", set_language)
    app.connect("build-finished", translate_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
