"""The network of the front page: its modules are made of what is exported now, and its numbers are the library's."""

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import cbackprop
from cbackprop import Network

DOCS = Path(__file__).parents[1] / "docs"
FILES = [DOCS / "_static" / name for name in ("live.css", "live-modules.js", "live.js")]
BROWSER = next(filter(shutil.which, ("chromium", "chromium-browser", "google-chrome")), None)
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--window-size=1000,1500", "--remote-debugging-pipe")


@pytest.fixture(scope="module")
def build():
    spec = importlib.util.spec_from_file_location("build", DOCS / "_live" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_of_it_is_small():
    assert sum(file.stat().st_size for file in FILES) < 60_000


def test_modules_are_made_of_what_is_exported_now(build):
    assert f'"sources": "{build.digest()}"' in build.MODULES.read_text(encoding="utf-8")


class Browser:
    """Headless Chromium, by its DevTools protocol: messages of JSON in pipes, which end with a zero byte."""

    def __init__(self, folder):
        commands, self.write = os.pipe()
        self.read, answers = os.pipe()
        command = shlex.join([BROWSER, *OPTIONS, f"--user-data-dir={folder / 'profile'}"])
        self.process = subprocess.Popen(
            ["bash", "-c", f"exec {command} 3<&{commands} 4>&{answers}"],
            pass_fds=(commands, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self.folder, self.received, self.count, self.session = folder, b"", 0, {}
        target = self.call("Target.createTarget", url="about:blank")
        self.session = {"sessionId": self.call("Target.attachToTarget", **target, flatten=True)["sessionId"]}

    def close(self):
        self.process.terminate()
        self.process.wait()
        os.close(self.write)
        os.close(self.read)

    def receive(self):
        while b"\0" not in self.received:
            received = os.read(self.read, 1 << 16)
            assert received, "the browser ended"
            self.received += received
        message, _, self.received = self.received.partition(b"\0")
        return json.loads(message)

    def call(self, method, **parameters):
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters, **self.session}
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while (message := self.receive()).get("id") != self.count:  # events, until the answer comes
            pass
        assert "error" not in message, message
        return message["result"]

    def run(self, script):
        """The value of an expression in JavaScript, or of its promise."""
        done = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def open(self, language="en", motion="reduce"):
        """Open a page with the network, from a file; `page` is its object there."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": motion}])
        css, *scripts = [file.as_uri() for file in FILES]
        (page := self.folder / "page.html").write_text(
            f'<!DOCTYPE html><html lang="{language}"><meta charset="utf-8"><link rel="stylesheet" href="{css}">'
            + "".join(f'<script src="{script}"></script>' for script in scripts)
            + '<div class="live"></div></html>',
            encoding="utf-8",
        )
        self.call("Page.navigate", url=page.as_uri())
        self.run("new Promise((go) => { if (document.readyState === 'complete') go(); else window.onload = go; })")
        self.run("document.querySelector('.live').page.then((page) => { Object.assign(window, {page}); })")

    def press(self, *keys):
        for key in keys:
            text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
            self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", key=key, code=key, text=text)
            self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if BROWSER is None:
        pytest.skip("no Chromium")
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


CLOSE = {"rtol": 1e-11, "atol": 1e-12}  # rounding, some hundred times


def test_learns_as_the_library_does(browser, build):
    browser.open()
    for units in build.UNITS:
        rng = np.random.default_rng(units)
        w, v = cbackprop.init_weights(2, units, 3, rng=rng)
        x, t = rng.normal(size=(300, 2)), rng.integers(3, size=300)
        done = browser.run(
            f"""LiveNetwork.load({units}).then((network) => {{
                network.w.set({w.ravel().tolist()}); network.v.set({v.ravel().tolist()});
                const t = {t.tolist()}, samples = {x.tolist()}.map((x, n) => ({{x, k: t[n]}}));
                const errors = samples.map((sample) => network.learn(sample, 0.3));
                const learned = {{w: Array.from(network.w), v: Array.from(network.v)}};
                return {{errors, ...learned, mean: network.evaluate(samples)}};
            }})"""
        )
        network = Network.from_weights(w, v, learning_rate=0.3)
        np.testing.assert_allclose(
            done["errors"], [network.learn_one(x_n, int(t_n)) for x_n, t_n in zip(x, t, strict=True)], **CLOSE
        )
        np.testing.assert_allclose(done["w"], network.w.ravel(), **CLOSE)
        np.testing.assert_allclose(done["v"], network.v.ravel(), **CLOSE)
        np.testing.assert_allclose(done["mean"]["error"], network.loss(x, t), **CLOSE)
        assert done["mean"]["correct"] == (network.predict(x) == t).sum()


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_step_shows_the_numbers_of_the_library(browser, language):
    browser.open(language)
    browser.run("page.parts.step.click()")
    point, points, alpha = browser.run("[page.sample.point, page.points, page.rate]")
    w, v = browser.run("[page.network.initial.w, page.network.initial.v].map((weights) => Array.from(weights))")
    w, v, x, k = np.reshape(w, (8, 3)), np.reshape(v, (3, 9)), np.array(point["x"]), point["k"]
    found = cbackprop.forward([x], w, v)
    b, z, a, y = found.b[0], found.z[0], found.a[0], found.y[0]
    dw, dv = cbackprop.gradient([x], [k], w, v)
    j = np.abs(dw[:, 2]).argmax()  # dE_n/db_j is that of the bias
    numbers = {"x0": x[0], "x1": x[1], "E_n": -np.log(y[k]), "b": b[j], "z": z[j], "e": dw[j, 2], "error": dv[k, 8]}
    numbers |= {"v": v[k, j], "w": w[j, 0]}
    for name, values in {"a": a, "y": y, "error": dv[:, 8]}.items():
        numbers |= {f"{name}{l}": value for l, value in enumerate(values)}
    cbackprop.step(x, k, w, v, learning_rate=alpha)
    numbers |= {"newV": v[k, j], "newW": w[j, 0]}
    numbers["E"] = cbackprop.loss([each["x"] for each in points], [each["k"] for each in points], w, v)
    wanted = {name: f"{value:.3f}".replace("-", "−") for name, value in numbers.items()}
    wanted |= {"class": f"{k}", "j": f"{j}", "n": "1", "alpha": f"{alpha}", "rate": f"{alpha}"}
    wanted |= {f"t{l}": f"{int(l == k)}" for l in range(3)}
    shown = dict(
        browser.run(
            "Array.from(document.querySelectorAll('[data-show]'), (each) => [each.dataset.show, each.innerText])"
        )
    )
    assert shown.pop("correct").endswith(f"/{len(points)}")
    assert shown == wanted
    assert len(browser.run("page.curve.values")) == 2
    # for those who do not see it
    assert wanted["E_n"] in browser.run("page.parts.spoken.textContent")
    assert "undefined" not in browser.run("document.body.innerHTML")


def test_steps_change_the_weights_at_their_ends(browser):
    browser.open(motion="no-preference")
    browser.run("page.parts.run.click(), page.parts.restart.click()")
    weights, hidden = "Array.from(page.network.v)", "document.querySelectorAll('.live-later').length"
    before = browser.run(weights)
    step = f"page.parts.step.click(), new Promise((go) => setTimeout(() => go([{weights}, {hidden}]), 300))"
    during, n_hidden = browser.run(step)
    assert during == before
    assert n_hidden > 5
    after = browser.run(f"page.finish(), {weights}")
    assert after == browser.run("Array.from(page.sample.after.v)") != before
    assert browser.run(f"[page.n, page.curve.values.length, {hidden}]") == [1, 2, 0]
    assert browser.run(step)[0] == after
    browser.run("page.parts.run.click()")  # which ends the step
    assert browser.run("page.n") > 1


def test_every_number_has_a_link_to_an_equation(browser):
    browser.open()
    links = browser.run("Array.from(document.querySelectorAll('.live a'), (each) => each.getAttribute('href'))")
    anchors = re.findall(r'<a id="([\w-]+)">', (DOCS / "mathematics.md").read_text(encoding="utf-8"))
    assert len(links) > 10
    assert {link.removeprefix("mathematics.html#") for link in links} <= set(anchors)


def test_keys_place_points_and_press_buttons(browser):
    browser.open()
    browser.run("page.parts.clear.focus()")
    browser.press("Enter")
    assert browser.run("[page.points.length, page.parts.run.disabled, page.parts.step.disabled]") == [0, True, True]
    browser.run("page.parts.plane.focus()")
    browser.press("ArrowRight", "ArrowRight", "ArrowUp", "2", "Enter")
    ((x0, x1), k) = browser.run("page.points.map((point) => [point.x, point.k])[0]")
    assert (round(x0, 6), round(x1, 6), k) == (0.2, 0.1, 2)
    browser.run("page.parts.step.focus()")
    browser.press("Enter")
    assert browser.run("page.n") == 1
    browser.run("document.querySelector('[name=live-units]:checked').focus()")
    browser.press("ArrowRight")
    assert browser.run("new Promise((go) => setTimeout(() => go(page.network.units), 300))") == 16


def test_a_click_places_a_point(browser):
    browser.open()
    left, top, side = browser.run(
        "(() => { const at = page.parts.plane.getBoundingClientRect(); return [at.left, at.top, at.width]; })()"
    )
    for kind in ("mousePressed", "mouseReleased"):
        place = {"x": left + 0.75 * side, "y": top + 0.25 * side}
        browser.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)
    point = browser.run("page.points.at(-1)")
    assert point["k"] == 0
    np.testing.assert_allclose(point["x"], [1, 1], atol=0.02)  # half a pixel, and the border


def test_runs_unless_the_reader_wants_little_motion(browser):
    browser.open(motion="reduce")
    assert not browser.run("new Promise((go) => setTimeout(() => go(page.n), 200))")
    browser.open(motion="no-preference")
    wait = "new Promise((go) => setTimeout(() => go(page.n), 300))"
    while not browser.run(wait):
        pass
    browser.run("page.parts.run.click()")
    paused = browser.run("page.n")
    assert browser.run(wait) == paused
    assert str(paused) in browser.run("page.parts.spoken.textContent").replace(",", "")
