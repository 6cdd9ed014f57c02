"""Show each SVG as it is on light pages, recolored on dark ones; plots in one style.

``python docs/_extensions/pictures.py`` draws those that are committed, by the code that
guides and gallery show.
"""

import base64
import colorsys
import io
import os
import re
import runpy
import subprocess
import sys
import tempfile
from contextlib import chdir
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from docutils import nodes
from PIL import Image
from sphinx.transforms import SphinxTransform
from sphinx_gallery.directives import imgsgnode
from sphinx_gallery.scrapers import matplotlib_scraper

DOCS = Path(__file__).parents[1]
STYLE = DOCS / "pictures" / "style.mplstyle"
DARK = "plots/dark"  # in docs, not committed
OF_GUIDES = {
    "mixture": ["mixture"],
    "learning_rates": ["rates"],
    "teaching": ["regions", "units"],
}
OF_GALLERY = {"diabetes_scikit_learn": "diabetes", "flights_river": "flights"}
BLACK, WHITE = 0.1, 0.92  # lightness of white and of black on dark pages


def invert(lightness):
    """Lightness on dark pages."""
    return WHITE - (WHITE - BLACK) * lightness


def dark_color(match: re.Match) -> str:
    """Invert grays and pale colors; mix others with white."""
    rgb = [int(part, 16) / 255 for part in match.groups()]
    hue, lightness, saturation = colorsys.rgb_to_hls(*rgb)
    if saturation < 0.2 or lightness > 0.85:
        rgb = colorsys.hls_to_rgb(hue, invert(lightness), saturation)
    else:
        rgb = [0.2 + 0.8 * part for part in rgb]
    return "#" + "".join(f"{round(255 * part):02x}" for part in rgb)


def dark_bitmap(match: re.Match) -> str:
    """Invert the lightness of a bitmap."""
    image = Image.open(io.BytesIO(base64.b64decode(match[1]))).convert("RGBA")
    rgba = np.asarray(image) / 255
    rgb = rgba[..., :3]
    lightness = (rgb.max(axis=-1) + rgb.min(axis=-1))[..., np.newaxis] / 2
    # the saturation of colors as light as they were dark is the same
    chroma = np.ptp(rgb, axis=-1)[..., np.newaxis]
    room = 1 - np.abs(2 * lightness - 1)
    level = invert(lightness)
    scale = (1 - np.abs(2 * level - 1)) * np.where(chroma > 0, 1 / room.clip(1e-9), 0)
    rgba[..., :3] = (level + (rgb - lightness) * scale).clip(0, 1)
    file = io.BytesIO()
    Image.fromarray((255 * rgba).round().astype(np.uint8)).save(file, "png")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def dark(svg: str) -> str:
    """Recolor a picture for dark pages."""
    svg = re.sub(r"data:image/png;base64,([\w+/=\s]+)", dark_bitmap, svg)
    color = re.compile("#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})", re.IGNORECASE)
    svg = color.sub(dark_color, svg)
    ink = color.sub(dark_color, "#000000")  # of what has no color
    return re.sub(r"<svg (?![^>]*fill=)", f'<svg fill="{ink}" ', svg, count=1)


class LightAndDark(SphinxTransform):
    """Put a picture for dark pages beside each SVG; the theme shows one of them."""

    default_priority = 200

    def apply(self, **kwargs) -> None:
        for kind in (nodes.image, imgsgnode):
            for image in list(self.document.findall(kind)):
                shown = {"only-light", "only-dark"} & set(image.get("classes", ()))
                if image["uri"].endswith(".svg") and not shown:
                    image.replace_self(self.pair(image))

    def pair(self, image: nodes.Element) -> list[nodes.image]:
        name, path = self.env.relfn2path(image["uri"], self.env.docname)
        twin = DOCS / DARK / name.replace("/", "-")
        twin.parent.mkdir(parents=True, exist_ok=True)
        twin.write_text(dark(Path(path).read_text(encoding="utf-8")), encoding="utf-8")
        self.env.note_dependency(path)
        found = []
        for shown, kind in ((f"/{name}", "light"), (f"/{DARK}/{twin.name}", "dark")):
            classes = [*image.get("classes", ()), f"only-{kind}"]
            copy = nodes.image(uri=shown, alt=image.get("alt", ""), classes=classes)
            if "width" in image:
                copy["width"] = image["width"]
            found.append(copy)
        return found


def use_style(gallery_conf=None, example=None) -> None:
    """Begin an example in the style of the site."""
    mpl.rcdefaults()
    plt.style.use(STYLE)


def scrape(*arguments, **options) -> str:
    """Save the plots of an example in SVG."""
    return matplotlib_scraper(*arguments, format="svg", **options)


def keep(file: Path, name: str) -> None:
    """Put a picture in docs, with hundredths of a point as the last digits."""
    svg = file.read_text(encoding="utf-8")
    svg = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(\.\d\d)\d+", r"\1", tag[0]), svg)
    (DOCS / name).write_text(svg, encoding="utf-8")


def draw_guide(guide: str, names: list[str]) -> None:
    """Run the code of a guide up to its last picture, and keep its pictures."""
    page = (DOCS / "guides" / f"{guide}.md").read_text(encoding="utf-8")
    variables: dict = {"__name__": "__main__"}
    files = [f"{name}.svg" for name in names]
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for code in re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.M):
            exec(compile(code, guide, "exec"), variables)
            if all(map(os.path.exists, files)):
                break
        for file in files:
            keep(Path(file), f"guides/{file}")


def draw() -> None:
    """Draw the plots of guides, and of the demonstration."""
    os.environ["SOURCE_DATE_EPOCH"] = "0"  # the date in each file
    os.environ["MATPLOTLIBRC"] = str(STYLE)
    sys.path.insert(0, str(DOCS.parent))  # the package built in place
    mpl.use("agg")
    use_style()
    for guide, names in OF_GUIDES.items():
        draw_guide(guide, names)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "picture.svg")
        for example, name in OF_GALLERY.items():
            use_style()
            runpy.run_path(str(DOCS.parent / "examples" / f"{example}.py"))
            plt.savefig(file)
            keep(file, f"guides/{name}.svg")
        command = [sys.executable, "-m", "cbackprop", "demo", "--output", str(file)]
        subprocess.run(command, cwd=DOCS.parent, check=True)
        keep(file, "demo.svg")


def setup(app):
    app.add_transform(LightAndDark)
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    draw()
