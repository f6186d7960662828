"""Set up, run and test Dualscope: `dev.py run [MODEL]`, `dev.py test [PYTEST ARGUMENTS]`.

Standard library only. Works from a fresh clone; a second call with nothing changed is fast.
"""

from __future__ import annotations

import ctypes.util
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = Path(os.environ.get("DUALSCOPE_VENV") or ROOT / ".venv")
DEMO = ROOT / "resources" / "demo" / "demo.onnx"
LOWEST_PYTHON = (3, 11)

# Libraries that PySide6's wheels load from the system (`ldd` over Qt's libraries, its platform
# plugins and QtWebEngineProcess), and the Debian packages that hold them; alternatives are the
# names before and after the 64-bit time_t transition.
LIBRARIES: dict[str, tuple[str, ...]] = {
    "EGL": ("libegl1",),
    "GL": ("libgl1",),
    "OpenGL": ("libopengl0",),
    "xkbcommon": ("libxkbcommon0",),
    "xkbcommon-x11": ("libxkbcommon-x11-0",),
    "xcb-cursor": ("libxcb-cursor0",),
    "xcb-icccm": ("libxcb-icccm4",),
    "xcb-image": ("libxcb-image0",),
    "xcb-keysyms": ("libxcb-keysyms1",),
    "xcb-randr": ("libxcb-randr0",),
    "xcb-render-util": ("libxcb-render-util0",),
    "xcb-shape": ("libxcb-shape0",),
    "xcb-sync": ("libxcb-sync1",),
    "xcb-xinerama": ("libxcb-xinerama0",),
    "xcb-xkb": ("libxcb-xkb1",),
    "X11-xcb": ("libx11-xcb1",),
    "Xcomposite": ("libxcomposite1",),
    "Xdamage": ("libxdamage1",),
    "Xrandr": ("libxrandr2",),
    "Xtst": ("libxtst6",),
    "xkbfile": ("libxkbfile1",),
    "nss3": ("libnss3",),
    "nspr4": ("libnspr4",),
    "asound": ("libasound2t64", "libasound2"),
    "dbus-1": ("libdbus-1-3",),
    "fontconfig": ("libfontconfig1",),
    "freetype": ("libfreetype6",),
    "glib-2.0": ("libglib2.0-0t64", "libglib2.0-0"),
    "gbm": ("libgbm1",),
    "drm": ("libdrm2",),
    "wayland-client": ("libwayland-client0",),
    "gomp": ("libgomp1",),
}
FONTS = "fonts-dejavu-core"
# Tests draw on a virtual screen and build a stand-in for NVIDIA's library.
TEST_PROGRAMS = {"Xvfb": "xvfb", "xauth": "xauth", "cc": "gcc"}
TEST_EXTRA_HEADERS = "libc6-dev"
# Carries models to test with; its own dependencies are not needed.
TEST_MODELS = "silero-vad==6.2.3"
OTHER_SYSTEMS = {
    "dnf": "libxkbcommon-x11 xcb-util-cursor xcb-util-wm xcb-util-image xcb-util-keysyms "
    "xcb-util-renderutil libXcomposite libXdamage libXrandr libXtst libxkbfile nss alsa-lib "
    "mesa-libEGL mesa-libGL libglvnd-opengl",
    "pacman": "libxkbcommon-x11 xcb-util-cursor xcb-util-wm xcb-util-image xcb-util-keysyms "
    "xcb-util-renderutil libxcomposite libxdamage libxrandr libxtst libxkbfile nss alsa-lib "
    "libglvnd",
    "zypper": "libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 "
    "libxcb-render-util0 libXcomposite1 libXdamage1 libXrandr2 libXtst6 libxkbfile1 "
    "mozilla-nss libasound2 libEGL1 libGL1",
}


class SetupError(Exception):
    """Something that the person has to do; the text says what."""


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code."""
    if not arguments or arguments[0] not in ("run", "test"):
        print(__doc__)
        return 2
    try:
        check_python()
        if arguments[0] == "run":
            return run(arguments[1:])
        return test(arguments[1:])
    except SetupError as error:
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
    print("No display was found: profiling on the command line.")
    return call(
        *(str(python()), str(ROOT / "main.py"), "profile", str(model), "-o", str(session)),
        *("--html", str(session.with_suffix(".html"))),
    )


def test(arguments: Sequence[str]) -> int:
    """Every check: lint, format, types, imports, tests. Further arguments go to pytest."""
    set_up(extras="test")
    checks = (
        []
        if arguments
        else [
            ("ruff", "check", "."),
            ("ruff", "format", "--check", "."),
            ("mypy",),
            ("lint-imports",),
        ]
    )
    failed = [" ".join(check) for check in checks if call(str(tool(check[0])), *check[1:]) != 0]
    if call(*virtual_screen(), str(python()), "-m", "pytest", *arguments) != 0:
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
    install_system_packages(missing_packages(tests=bool(extras)))
    stamp = VENV / f"dualscope-{extras or 'run'}.stamp"
    wanted = fingerprint(extras)
    if stamp.exists() and stamp.read_text() == wanted and python().exists():
        return
    make_venv()
    print("Installing Dualscope and what it needs; the first time takes some minutes.", flush=True)
    target = f"{ROOT}[{extras}]" if extras else str(ROOT)
    pip("install", "--quiet", "--editable", target)
    if extras:
        pip("install", "--quiet", "--no-deps", TEST_MODELS)
    stamp.write_text(wanted)


def fingerprint(extras: str) -> str:
    """Changes when what is installed should change."""
    parts = [sys.version, extras, str(ROOT), (ROOT / "pyproject.toml").read_text("utf-8")]
    return hashlib.sha256("\n".join([*parts, TEST_MODELS]).encode()).hexdigest()


def make_venv() -> None:
    """A new environment; one that is broken is replaced."""
    if python().exists() and call(str(python()), "-m", "pip", "--version", quiet=True) == 0:
        return
    if VENV.exists():
        shutil.rmtree(VENV)
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        # Debian and Ubuntu keep it in a package of its own.
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        install_system_packages([f"python{version}-venv"])
        if call(sys.executable, "-m", "venv", str(VENV)) != 0:
            raise SetupError(
                f"No virtual environment can be made: install python{version}-venv."
            ) from None
        return
    venv.create(VENV, with_pip=True)


def pip(*arguments: str) -> None:
    """Raises SetupError when pip fails."""
    if call(str(python()), "-m", "pip", *arguments) != 0:
        raise SetupError("pip failed (see above). Is there a network? Then run this again.")


def missing_packages(*, tests: bool) -> list[str]:
    """Debian packages, or their first names, of libraries and programs that aren't there."""
    if not sys.platform.startswith("linux"):
        return []
    # A library that is there is found by the linker's own cache, in milliseconds.
    missing = [
        names[0]
        for library, names in LIBRARIES.items()
        if ctypes.util.find_library(library) is None
    ]
    if not any(Path("/usr/share/fonts").glob("**/*.[to]tf")):
        missing.append(FONTS)
    if tests:
        missing += [package for name, package in TEST_PROGRAMS.items() if not shutil.which(name)]
        if not Path("/usr/include/stdio.h").exists():
            missing.append(TEST_EXTRA_HEADERS)
    return missing


def install_system_packages(packages: list[str]) -> None:
    """By apt, through sudo unless root; elsewhere the packages are named."""
    if not packages:
        return
    if not shutil.which("apt-get"):
        known = next((name for name in OTHER_SYSTEMS if shutil.which(name)), None)
        needed = OTHER_SYSTEMS[known] if known else ", ".join(packages)
        print(f"Qt may need these system packages: {needed}", file=sys.stderr)
        return
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    if sudo and not shutil.which("sudo"):
        raise SetupError(f"As root, run: apt-get install {' '.join(packages)}")
    print(f"Installing system packages: {' '.join(packages)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run([*sudo, "apt-get", "update", "-qq"], check=False, env=environment)
    names = [available_name(package) for package in packages]
    command = [*sudo, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *names]
    if subprocess.run(command, check=False, env=environment).returncode != 0:
        raise SetupError(f"apt-get failed. Run: apt-get install {' '.join(names)}")


def available_name(package: str) -> str:
    """The first of the package's names that this release has."""
    for names in LIBRARIES.values():
        if package in names:
            for name in names:
                shown = subprocess.run(
                    ["apt-cache", "show", name], check=False, capture_output=True
                )
                if shown.returncode == 0 and shown.stdout:
                    return name
    return package


# --- helpers ----------------------------------------------------------------------------------


def python() -> Path:
    """The environment's interpreter."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def tool(name: str) -> Path:
    """A program of the environment."""
    return VENV / (f"Scripts/{name}.exe" if os.name == "nt" else f"bin/{name}")


def has_display() -> bool:
    """Whether a window can be shown."""
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def virtual_screen() -> list[str]:
    """Tests show real windows: on Linux without a display, on a virtual one."""
    if has_display():
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


def call(*command: str, quiet: bool = False) -> int:
    """Run a program in the project's folder; returns its exit code."""
    out = subprocess.DEVNULL if quiet else None
    if command[0].endswith(("ruff", "mypy", "lint-imports")) or "pytest" in command:
        return subprocess.run(command, check=False, cwd=ROOT, stdout=out, stderr=out).returncode
    return subprocess.run(command, check=False, stdout=out, stderr=out).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
