"""Set up, run and test Dualscope: `dev.py run [MODEL]`, `dev.py test [PYTEST ARGUMENTS]`.

Standard library only. Works from a fresh clone; a second call with nothing changed is fast.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OWN_VENV = ROOT / ".venv"
VENV = Path(os.environ.get("DUALSCOPE_VENV") or OWN_VENV).absolute()
DEMO = ROOT / "resources" / "demo" / "demo.onnx"
LOWEST_PYTHON = (3, 11)

# What the parts of PySide6's wheels that the window uses load from the system (the NEEDED entries
# of Qt's libraries, its plugins and QtWebEngineProcess, without the C library's own), and the
# Debian packages that hold them; two names are those since and before the 64-bit time_t transition.
LIBRARIES: dict[str, tuple[str, ...]] = {
    "libEGL.so.1": ("libegl1",),
    "libGL.so.1": ("libgl1",),
    "libX11-xcb.so.1": ("libx11-xcb1",),
    "libX11.so.6": ("libx11-6",),
    "libXcomposite.so.1": ("libxcomposite1",),
    "libXdamage.so.1": ("libxdamage1",),
    "libXext.so.6": ("libxext6",),
    "libXfixes.so.3": ("libxfixes3",),
    "libXrandr.so.2": ("libxrandr2",),
    "libXtst.so.6": ("libxtst6",),
    "libasound.so.2": ("libasound2t64", "libasound2"),
    "libbrotlidec.so.1": ("libbrotli1",),
    "libdbus-1.so.3": ("libdbus-1-3",),
    "libexpat.so.1": ("libexpat1",),
    "libfontconfig.so.1": ("libfontconfig1",),
    "libfreetype.so.6": ("libfreetype6",),
    "libgbm.so.1": ("libgbm1",),
    "libgcc_s.so.1": ("libgcc-s1",),
    "libglib-2.0.so.0": ("libglib2.0-0t64", "libglib2.0-0"),
    "libgssapi_krb5.so.2": ("libgssapi-krb5-2",),
    "libnspr4.so": ("libnspr4",),
    "libnss3.so": ("libnss3",),
    "libstdc++.so.6": ("libstdc++6",),
    "libudev.so.1": ("libudev1",),
    "libwayland-client.so.0": ("libwayland-client0",),
    "libwayland-cursor.so.0": ("libwayland-cursor0",),
    "libwayland-egl.so.1": ("libwayland-egl1",),
    "libxcb-cursor.so.0": ("libxcb-cursor0",),
    "libxcb-dri3.so.0": ("libxcb-dri3-0",),
    "libxcb-glx.so.0": ("libxcb-glx0",),
    "libxcb-icccm.so.4": ("libxcb-icccm4",),
    "libxcb-image.so.0": ("libxcb-image0",),
    "libxcb-keysyms.so.1": ("libxcb-keysyms1",),
    "libxcb-randr.so.0": ("libxcb-randr0",),
    "libxcb-render-util.so.0": ("libxcb-render-util0",),
    "libxcb-render.so.0": ("libxcb-render0",),
    "libxcb-shape.so.0": ("libxcb-shape0",),
    "libxcb-shm.so.0": ("libxcb-shm0",),
    "libxcb-sync.so.1": ("libxcb-sync1",),
    "libxcb-util.so.1": ("libxcb-util1",),
    "libxcb-xfixes.so.0": ("libxcb-xfixes0",),
    "libxcb-xkb.so.1": ("libxcb-xkb1",),
    "libxcb.so.1": ("libxcb1",),
    "libxkbcommon-x11.so.0": ("libxkbcommon-x11-0",),
    "libxkbcommon.so.0": ("libxkbcommon0",),
    "libxkbfile.so.1": ("libxkbfile1",),
    "libz.so.1": ("zlib1g",),
    "libzstd.so.1": ("libzstd1",),
}
FONTS = "fonts-dejavu-core"
FONT_FOLDER = Path("/usr/share/fonts")
# Tests draw on a virtual screen, unless there is one, build a stand-in for NVIDIA's library, and
# compile models: torch.compile needs a compiler of C++ and Python's own headers.
SCREEN_PROGRAMS = {"xvfb-run": "xvfb", "xauth": "xauth"}
PYTHON_HEADER = str(Path(sysconfig.get_path("include")) / "Python.h")
PYTHON_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
TEST_NEEDS = {
    **SCREEN_PROGRAMS,
    "cc": "gcc",
    "c++": "g++",
    "/usr/include/stdio.h": "libc6-dev",
    PYTHON_HEADER: f"libpython{PYTHON_VERSION}-dev",
}
# How the whole suite is run: two tests at a time; tests/conftest.py says which stay together.
WORKERS = ("-n", "2", "--dist", "loadfile")
# Carries models to test with; its own dependencies are not needed.
TEST_MODELS = "silero-vad==6.2.3"
# Where there is no apt. RPM systems find a package by a library's name.
RPM_MANAGERS = {
    "dnf": "xorg-x11-server-Xvfb xorg-x11-xauth gcc gcc-c++ glibc-devel python3-devel",
    "zypper": "xvfb-run xauth gcc gcc-c++ glibc-devel python3-devel",
}
PACMAN_LIBRARIES = (
    "alsa-lib brotli dbus expat fontconfig freetype2 gcc-libs glib2 krb5 libglvnd libx11 libxcb "
    "libxcomposite libxdamage libxext libxfixes libxkbcommon libxkbcommon-x11 libxkbfile "
    "libxrandr libxtst mesa nspr nss systemd-libs wayland xcb-util xcb-util-cursor "
    "xcb-util-image xcb-util-keysyms xcb-util-renderutil xcb-util-wm zlib zstd ttf-dejavu"
)
PACMAN_PROGRAMS = "xorg-server-xvfb xorg-xauth gcc"


class SetupError(Exception):
    """Something that the person has to do; the text says what."""


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code."""
    usable = arguments and (
        arguments[0] == "test"
        or (arguments[0] == "run" and len(arguments) <= 2 and not arguments[-1].startswith("-"))
    )
    if not usable:
        print(__doc__)
        return 2
    try:
        check_python()
        if arguments[0] == "run":
            return run(arguments[1:])
        return test(arguments[1:])
    except (SetupError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def run(arguments: Sequence[str]) -> int:
    """Open the window with the model and start a run; without a display, the command line."""
    set_up(extras="")
    model = Path(arguments[0]).resolve() if arguments else DEMO
    if has_display():
        return call(str(python()), str(ROOT / "main.py"), "--profile", str(model))
    out = Path.cwd() / "out"
    out.mkdir(exist_ok=True)
    session = free_name(out / f"{model.stem}.dualscope")
    print("No display was found: profiling on the command line.", flush=True)
    return call(
        *(str(python()), str(ROOT / "main.py"), "profile", str(model), "-o", str(session)),
        *("--html", str(session.with_suffix(".html"))),
    )


def test(arguments: Sequence[str]) -> int:
    """Every check: lint, format, types, imports, tests. Further arguments go to pytest."""
    set_up(extras="test")
    checks = {
        "ruff check": ("-m", "ruff", "check", "."),
        "ruff format": ("-m", "ruff", "format", "--check", "."),
        "mypy": ("-m", "mypy"),
        "lint-imports": ("-c", "from importlinter.cli import lint_imports_command as run; run()"),
    }
    failed = [
        name
        for name, check in checks.items()
        if not arguments and call(str(python()), *check, folder=ROOT) != 0
    ]
    chosen = arguments or WORKERS
    if call(*virtual_screen(), str(python()), "-m", "pytest", *chosen, folder=ROOT) != 0:
        failed.append("pytest")
    if failed:
        print(f"FAILED: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


# --- set-up -----------------------------------------------------------------------------------


def check_python() -> None:
    """Raises SetupError for a Python that is too old."""
    if sys.version_info < LOWEST_PYTHON:
        wanted = ".".join(str(part) for part in LOWEST_PYTHON)
        raise SetupError(f"Dualscope needs Python {wanted} or newer, this is {sys.version}.")


def set_up(extras: str) -> None:
    """Virtual environment, packages and system libraries, as far as they are missing."""
    set_up_system(tests=bool(extras))
    stamp = VENV / "dualscope.stamp"
    wanted = fingerprint(extras)
    # What the tests need holds what a run needs.
    if python().exists() and stamp.exists() and stamp.read_text() in (wanted, fingerprint("test")):
        return
    make_venv()
    stamp.unlink(missing_ok=True)
    print("Installing Dualscope and what it needs; the first time takes some minutes.", flush=True)
    target = f"{ROOT}[{extras}]" if extras else str(ROOT)
    pip("install", "--quiet", "--editable", target)
    if extras:
        pip("install", "--quiet", "--no-deps", TEST_MODELS)
    stamp.write_text(wanted)


def fingerprint(extras: str) -> str:
    """Changes when what is installed should change."""
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    parts = [str(sys.version_info[:2]), extras, str(ROOT), project]
    if extras:
        parts.append(TEST_MODELS)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def make_venv() -> None:
    """A new environment; one that is broken, or of another Python, is replaced."""
    check = f"import pip, sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    if python().exists() and call(str(python()), "-c", check, quiet=True) == 0:
        return
    is_venv = VENV == OWN_VENV or (VENV / "pyvenv.cfg").exists()
    if VENV.exists() and not is_venv and any(VENV.iterdir()):
        raise SetupError(f"{VENV} is not a virtual environment: empty it or choose another folder.")
    if call(sys.executable, "-m", "venv", "--clear", str(VENV)) != 0:
        raise SetupError(f"No virtual environment can be made (on Debian: {venv_package()}).")


def venv_package() -> str:
    """Debian and Ubuntu keep what makes environments in a package of its own."""
    return f"python{PYTHON_VERSION}-venv"


def pip(*arguments: str) -> None:
    """Raises SetupError when pip fails."""
    if call(str(python()), "-m", "pip", *arguments) != 0:
        raise SetupError("pip failed (see above). Is there a network? Then run this again.")


# --- system packages --------------------------------------------------------------------------


def set_up_system(*, tests: bool) -> None:
    """Qt's libraries, fonts, and the tests' programs: by apt; elsewhere they are named."""
    if not sys.platform.startswith("linux"):
        return
    libraries = missing_libraries(linker_cache())
    programs = missing_test_needs() if tests else []
    packages = missing_packages(libraries, programs)
    if not shutil.which("apt-get"):
        if libraries or programs:
            print(other_system_advice(libraries, programs), file=sys.stderr)
        return
    try:
        if packages:
            apt_install(packages)
    except SetupError as error:
        if tests or has_display():
            raise
        # The command line works without Qt.
        print(f"warning: {error}", file=sys.stderr)


def linker_cache() -> str:
    """What `ldconfig -p` prints; it isn't on everybody's path."""
    program = shutil.which("ldconfig", path=f"{os.environ.get('PATH', '')}:/sbin:/usr/sbin")
    if not program:
        return ""
    return subprocess.run([program, "-p"], check=False, capture_output=True, text=True).stdout


def missing_libraries(listing: str) -> list[str]:
    """Those of LIBRARIES that the text of `ldconfig -p` doesn't list for this machine."""
    found = re.findall(r"^\s+(\S+) \(([^)]*)\) => ", listing, re.MULTILINE)
    # The cache of an x86-64 system may also list libraries of 32 bits.
    kind = "x86-64" if platform.machine() == "x86_64" else ""
    present = {name for name, flags in found if kind in flags}
    return [name for name in LIBRARIES if name not in present]


def missing_test_needs() -> list[str]:
    """Programs and files that the tests need and that aren't there."""
    return [
        name
        for name in TEST_NEEDS
        if not (shutil.which(name) or (Path(name).is_absolute() and Path(name).exists()))
        and not (name in SCREEN_PROGRAMS and has_display())
    ]


def missing_packages(libraries: list[str], programs: list[str]) -> list[tuple[str, ...]]:
    """Debian packages to install, each by its possible names."""
    packages = [LIBRARIES[name] for name in libraries]
    packages += [(TEST_NEEDS[name],) for name in programs]
    if not any(FONT_FOLDER.glob("**/*.[to]t[fc]")):
        packages.append((FONTS,))
    # An environment whose making stopped half-way has no pip.
    has_pip = any(VENV.glob("lib/python*/site-packages/pip"))
    if not has_pip and importlib.util.find_spec("ensurepip") is None:
        packages.append((venv_package(),))
    return packages


def apt_install(packages: list[tuple[str, ...]]) -> None:
    """Through sudo unless root."""
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    if sudo and not shutil.which("sudo"):
        raise SetupError(f"As root, run: apt-get install {available_names(packages)}")
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    print("Looking up system packages.", flush=True)
    call(*apt, "update", "-qq")
    names = available_names(packages)
    print(f"Installing system packages: {names}", flush=True)
    if call(*apt, "install", "-y", "-qq", "--no-install-recommends", *names.split()) != 0:
        raise SetupError(f"apt-get failed. As root, run: apt-get install {names}")


def available_names(packages: list[tuple[str, ...]]) -> str:
    """Of each package the first name that this release has."""
    return " ".join(
        next((name for name in names[:-1] if is_available(name)), names[-1]) for names in packages
    )


def is_available(package: str) -> bool:
    """Whether apt knows the package."""
    shown = subprocess.run(["apt-cache", "show", package], check=False, capture_output=True)
    return shown.returncode == 0 and bool(shown.stdout)


def other_system_advice(libraries: list[str], programs: list[str]) -> str:
    """What to install by the system's own package manager."""
    for manager, test_packages in RPM_MANAGERS.items():
        if shutil.which(manager):
            wanted = [f"'{library}()(64bit)'" for library in libraries]
            wanted += [test_packages] if programs else []
            return f"Qt needs more system packages: {manager} install {' '.join(wanted)}"
    if shutil.which("pacman"):
        wanted = [PACMAN_LIBRARIES, PACMAN_PROGRAMS] if programs else [PACMAN_LIBRARIES]
        return f"Qt needs more system packages: pacman -S --needed {' '.join(wanted)}"
    return f"Install what holds these, as far as it is missing: {', '.join(libraries + programs)}"


# --- helpers ----------------------------------------------------------------------------------


def python() -> Path:
    """The environment's interpreter."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def has_display() -> bool:
    """Whether a window can be shown."""
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def virtual_screen() -> list[str]:
    """Tests show real windows: on Linux without a display, on a virtual one."""
    if has_display():
        return []
    if not shutil.which("xvfb-run"):
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        return []
    return ["xvfb-run", "-a", "-s", "-screen 0 1920x1080x24"]


def free_name(path: Path) -> Path:
    """The path, with a number when it is taken: a session is never overwritten."""
    number = 2
    found = path
    while found.exists():
        found = path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1
    return found


def call(*command: str, folder: Path | None = None, quiet: bool = False) -> int:
    """Run a program; returns its exit code."""
    out = subprocess.DEVNULL if quiet else None
    return subprocess.run(command, check=False, cwd=folder, stdout=out, stderr=out).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
