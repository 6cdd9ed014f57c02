"""The documentation: examples run, links resolve, and both languages show the same equations and kernels."""

import importlib.util
import inspect
import re
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import cbackprop

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8") for path in sorted(DOCS.rglob("*.md"))}
EXAMPLES = {page: re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE) for page, text in PAGES.items()}
TRANSLATED = [page.removeprefix("ja/") for page in PAGES if page.startswith("ja/")]
MATHEMATICS = [page for page in PAGES if page.endswith("mathematics.md")]
KERNELS = [(page, *names) for page in PAGES for names in re.findall(r"^```\{kernel\} (\S+) (\S+)$", PAGES[page], re.M)]

# every page of prose, by its path
PROSE = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/README.md")
    for path in sorted(ROOT.glob(pattern))
}


def expected_output(example):
    """The lines that an example claims to print: beside a print, or in a comment below one."""
    lines, below = [], False
    for line in example.splitlines():
        printing = re.match(r" *print\(", line)
        if beside := printing and re.search(r"\)  # (.+)$", line):
            lines.append(beside[1])
        elif below and line.startswith("# "):
            lines.append(line.removeprefix("# "))
        below = printing or (below and line.startswith("# "))
    return lines


SLOW = {f"guides/{name}.md" for name in ("mlpclassifier", "sparse", "stream")}


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] if page in SLOW else [])
        for page, examples in EXAMPLES.items()
        if examples
    ],
)
def test_examples_of_a_page_run_in_order_and_print_what_it_says(page, tmp_path, monkeypatch, capsys):
    for module in re.findall(r"^\s*(?:import|from) ([\w.]+)", "".join(EXAMPLES[page]), re.MULTILINE):
        pytest.importorskip(module, exc_type=ImportError)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for example in EXAMPLES[page]:
        exec(compile(example, page, "exec"), names)
        assert capsys.readouterr().out.splitlines() == expected_output(example)


GUIDES = [page for page in EXAMPLES if page.startswith("guides/") and EXAMPLES[page]]
INSTALLED_AS = {"sklearn": "scikit-learn"} | dict.fromkeys(
    ("cbackprop", "zlib", "itertools", "concurrent", "warnings"), ""
)


def installed_by(extra):
    """What an extra installs."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for line in extras[extra]:
        others = re.fullmatch(r"cbackprop\[(.*)\]", line)
        yield from installed_by(others[1]) if others else [line]


@pytest.mark.parametrize("page", GUIDES)
def test_first_example_of_a_guide_needs_what_the_guide_names(page):
    before = PAGES[page].partition("```python\n")[0]
    extras, others = re.search(r'pip install (?:\.|"\.\[([\w,]+)\]")((?: \w+)*)', before).groups()
    extras = extras.split(",") if extras else []
    named = ["numpy", *others.split(), *(line for extra in extras for line in installed_by(extra))]
    for module in re.findall(r"^(?:from|import) ([\w.]+)", EXAMPLES[page][0], re.MULTILINE):
        top, _, part = module.partition(".")
        assert part in ("", *extras) or top != "cbackprop"
        assert any(line.startswith(INSTALLED_AS.get(top, top)) for line in named), module


SOURCES = {path.relative_to(ROOT).as_posix(): path for path in sorted((ROOT / "cbackprop").rglob("*.py*"))}
SOURCES = {name: path.read_text(encoding="utf-8") for name, path in SOURCES.items() if path.suffix != ".pyc"}
GALLERY = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "examples").glob("*.py"))}


@pytest.mark.parametrize(
    ("texts", "code", "width"),
    [
        (PROSE, r"^```(?:python|sh)\n((?:.*\n)*?)```$", 88),
        (GALLERY, r".+", 88),
        (SOURCES, r"^ *((?:>>>|\.\.\.) .*?)$", 80),  # examples of docstrings, of which those of methods are indented
    ],
    ids=["pages", "gallery", "docstrings"],
)
def test_code_is_not_too_wide(texts, code, width):
    shown = {name: "\n".join(re.findall(code, text, re.MULTILINE)) for name, text in texts.items()}
    assert [(name, line) for name in shown for line in shown[name].splitlines() if len(line) > width] == []


def test_clusters_do_not_need_the_default_port_of_the_dashboard():
    texts = [text for text in [*PROSE.values(), *SOURCES.values(), *GALLERY.values()] if re.search(r"\bClient\(", text)]
    assert len(texts) == 4
    for text in texts:
        assert len(re.findall(r"\bClient\(", text)) == len(re.findall(r'dashboard_address(?:=|": )":0"', text))


def test_one_place_says_that_no_index_has_the_package():
    assert [path for path, text in PROSE.items() if re.search(r"not (?:yet )?(?:\w+ )*(?:index|PyPI)", text)] == [
        "README.md"
    ]


def extension(name):
    """A module of the extensions of Sphinx."""
    pytest.importorskip("sphinx")
    spec = importlib.util.spec_from_file_location(name, DOCS / "_extensions" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pictures_are_recolored_for_dark_pages():
    pytest.importorskip("sphinx_gallery")
    pictures = extension("pictures")
    shown = pictures.dark('<svg ><text>#</text><path style="fill: #ffffff; stroke: #009E73"/></svg>')
    assert shown == '<svg fill="#ebebeb" ><text>#</text><path style="fill: #191919; stroke: #33b18f"/></svg>'
    for path in [*DOCS.glob("*.svg"), *DOCS.glob("guides/*.svg"), *DOCS.glob("pictures/*.svg")]:
        ET.fromstring(pictures.dark(path.read_text(encoding="utf-8")))
    for path in DOCS.glob("guides/*.svg"):
        assert f"({path.name})" in "".join(PAGES.values())


@pytest.mark.parametrize("page", TRANSLATED)
def test_translations_show_the_same(page):
    found = 0
    for shown in (
        r"^\$\$\n(.*?)\n\$\$$",
        r"^```\{(?:kernel|raw)\} (.*?)^```$",
        r"^```(?:python|sh)\n(.*?)^```$",
        r'<a id="([\w-]+)">',
    ):
        english, japanese = (re.findall(shown, PAGES[path], re.DOTALL | re.MULTILINE) for path in (page, f"ja/{page}"))
        assert [text.replace("../", "") for text in japanese] == english
        found += len(english)
    assert found


def test_navigation_of_japanese_pages_is_japanese():
    pytest.importorskip("pydata_sphinx_theme")
    japanese = extension("japanese")
    link = '<a title="Search" href="../mathematics.html">The mathematics</a><a href="../security.html">Security</a>'
    html = japanese.translate(f"{link}<article><code>method</code>{link}</article>", japanese.words(), ["mathematics"])
    assert html == (
        '<a title="検索" href="../ja/mathematics.html">誤差逆伝播法の導出</a>'
        '<a href="../security.html">セキュリティ</a>'
        f"<article><code>method</code>{link.replace('Search', '検索')}</article>"
    )
    (contents,) = re.findall(r"```\{toctree\}\n:hidden:\n\n(.*?)```", PAGES["index.md"], re.DOTALL)
    for page in {f"{name}.md" for name in contents.split()} & PAGES.keys():
        for title in re.findall(r"\A# (.+)", PAGES[page]):
            assert title in japanese.words()


def test_mathematics_show_every_equation_of_the_article():
    assert len(MATHEMATICS) == 2
    for page in MATHEMATICS:
        tags = re.findall(r"\\tag\{(\d+)(?:–(\d+))?\}", PAGES[page])
        numbers = {n for first, last in tags for n in range(int(first), int(last or first) + 1)}
        anchors = {int(n) for n in re.findall(r'<a id="eq-(\d+)"></a>', PAGES[page])}
        assert numbers == anchors == set(range(1, 19))


@pytest.mark.parametrize("page", MATHEMATICS)
def test_mathematics_show_every_function_of_the_equations_below_an_anchor_of_its_name(page):
    shown = re.findall(r"^```\{kernel\} equations\.pxi (\w+)$", PAGES[page], re.MULTILINE)
    source = (ROOT / "cbackprop" / "kernels" / "equations.pxi").read_text(encoding="utf-8")
    assert sorted(shown) == sorted(re.findall(r"^cdef .*?(\w+)\(", source, re.MULTILINE))
    assert re.findall(r'<a id="([a-z_]+)"></a>', PAGES[page]) == shown


@pytest.mark.parametrize(("page", "file", "function"), KERNELS)
def test_kernel_shown_exists_once(page, file, function):
    source = (ROOT / "cbackprop" / "kernels" / file).read_text(encoding="utf-8")
    assert len(re.findall(rf"^cdef .*\b{function}\(", source, re.MULTILINE)) == 1


def test_kernel_is_shown_whole():
    kernel = extension("kernel")
    code, line = kernel.extract(kernel.KERNELS / "equations.pxi", "sigmoid_derivative")
    source = (kernel.KERNELS / "equations.pxi").read_text(encoding="utf-8")
    assert f"\n\n\n{code}\n\n\n" in source
    assert code.startswith("# h'(b_j)")
    assert source.splitlines()[line - 1] == code.splitlines()[1]
    with pytest.raises(LookupError, match="0 functions named no_such"):
        kernel.extract(kernel.KERNELS / "equations.pxi", "no_such")


def anchors(text):
    """The anchors of a page: those it sets, and those that GitHub and MyST derive from headings."""
    text = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    return [*re.findall(r'<a id="([\w-]+)">', text), *slugs]


@pytest.mark.parametrize("path", PROSE)
def test_links_lead_to_files_and_anchors(path):
    assert len(set(anchors(PROSE[path]))) == len(anchors(PROSE[path]))
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", PROSE[path]):
        file = ((ROOT / path).parent / target).resolve() if target else ROOT / path
        if "gallery/" in target:  # made from the examples
            file = ROOT / "examples" / f"{file.stem}.py"
        assert file.exists(), target
        # lines of code move; functions have names
        assert not anchor or anchor in anchors(PROSE[file.relative_to(ROOT).as_posix()]), f"{target}#{anchor}"


INVENTORIES = sorted((DOCS / "inventories").glob("*.txt"))


@pytest.mark.parametrize("path", INVENTORIES, ids=lambda path: path.stem)
def test_objects_of_other_libraries_are_named(path):
    texts = "".join([*PROSE.values(), *SOURCES.values()])
    for line in path.read_text(encoding="utf-8").splitlines()[3:]:
        name, kind, location = line.split()
        assert kind in ("class", "exception", "function", "mod")
        assert not location.startswith("/")
        assert re.search(rf"`(\w+\.)*{name.rpartition('.')[2]}\b", texts), name


def public_functions():
    for name in cbackprop.__all__:
        found = getattr(cbackprop, name)
        if inspect.isfunction(found):
            yield name, found
        elif name in ("Network", "Ensemble"):
            members = vars(found) | {"learn_one": found.learn_one, "predict_one_sparse": found.predict_one_sparse}
            for member in members.keys() - {"from_weights", "load"}:
                if not member.startswith("_") and callable(members[member]):
                    yield f"{name}.{member}", getattr(found, member)


@pytest.mark.parametrize("name", sorted(PUBLIC := dict(public_functions())))
def test_docstrings_describe_all_parameters_in_their_order(name):
    described = re.search(r"Parameters\n-+\n(.*?)(?:\n\n|\Z)", inspect.getdoc(PUBLIC[name]), re.DOTALL)
    entries = re.findall(r"^(\w[\w, ]*?)(?: :.*)?$", described[1], re.MULTILINE) if described else []
    names = [name for entry in entries for name in entry.split(", ")]
    wanted = [each for each in inspect.signature(PUBLIC[name]).parameters if each != "self"]
    assert names == wanted
