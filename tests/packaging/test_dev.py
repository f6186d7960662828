"""The set-up script: what it finds missing, how it names it, and when it installs again."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "packaging" / "dev.py"
LIST_HEAD = "1234 libs found in cache `/etc/ld.so.cache'\n"
linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux's packages")


def load() -> ModuleType:
    """The script as a module of its own, so that a test may change its globals."""
    specification = importlib.util.spec_from_file_location("dualscope_dev", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def dev(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script, with an environment's folder that isn't there yet."""
    monkeypatch.setenv("DUALSCOPE_VENV", str(tmp_path / "environment"))
    return load()


def listing(names: list[str], flags: str = "libc6,x86-64") -> str:
    """What `ldconfig -p` prints for these libraries."""
    return LIST_HEAD + "".join(f"\t{name} ({flags}) => /usr/lib/{name}\n" for name in names)


def make_programs(folder: Path, **texts: str) -> Path:
    """A folder of shell programs."""
    folder.mkdir()
    for name, text in texts.items():
        program = folder / name.replace("_", "-")
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    return folder


# --- libraries and packages -------------------------------------------------------------------


def test_nothing_missing_when_all_libraries_are_listed(dev: ModuleType) -> None:
    assert dev.missing_libraries(listing(list(dev.LIBRARIES))) == []


def test_missing_libraries_are_those_not_listed(dev: ModuleType) -> None:
    there = [name for name in dev.LIBRARIES if name not in ("libxcb-cursor.so.0", "libnss3.so")]
    assert sorted(dev.missing_libraries(listing(there))) == ["libnss3.so", "libxcb-cursor.so.0"]


def test_a_longer_name_does_not_stand_for_a_library(dev: ModuleType) -> None:
    others = [f"{name}.99" for name in dev.LIBRARIES]
    assert dev.missing_libraries(listing(others)) == list(dev.LIBRARIES)


def test_libraries_of_32_bits_do_not_count(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev.platform, "machine", lambda: "x86_64")
    text = listing(list(dev.LIBRARIES), flags="libc6")
    assert dev.missing_libraries(text) == list(dev.LIBRARIES)
    both = text + listing(["libGL.so.1"])
    assert "libGL.so.1" not in dev.missing_libraries(both)


def test_libraries_of_arm_count(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev.platform, "machine", lambda: "aarch64")
    assert dev.missing_libraries(listing(list(dev.LIBRARIES), flags="libc6,AArch64")) == []


def test_without_ldconfig_every_library_counts_as_missing(dev: ModuleType) -> None:
    assert dev.missing_libraries("") == list(dev.LIBRARIES)


@linux_only
def test_ldconfig_is_found_off_the_path(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "libc.so.6" in dev.linker_cache()


@linux_only
def test_every_library_that_qt_names_is_in_the_table(dev: ModuleType) -> None:
    """The same walk over the ELF entries that made the table: from what the window uses."""
    readelf = dev.shutil.which("readelf")
    if readelf is None:
        pytest.skip("readelf is not installed")
    needed = dev_needed(readelf)
    c_library = {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "libresolv.so.2"}
    loader = {name for name in needed if name.startswith("ld-linux")}
    # These come with the package of another entry.
    with_others = {
        *("libgthread-2.0.so.0", "libbrotlicommon.so.1", "libnssutil3.so", "libsmime3.so")
    }
    assert needed - c_library - loader - with_others - dev.LIBRARIES.keys() == set()


def dev_needed(readelf: str) -> set[str]:
    """Libraries that the parts of PySide6 that the window uses load from the system."""
    import PySide6
    import shiboken6

    qt = Path(PySide6.__path__[0])
    own = {path.name: path for root in (qt, Path(shiboken6.__path__[0])) for path in elf(root)}
    modules = "Core Gui Widgets Network OpenGLWidgets PrintSupport WebEngineWidgets Svg DBus Test"
    plugins = (
        *("platforms/libqxcb.so", "platforms/libqwayland.so", "platforms/libqoffscreen.so"),
        *("xcbglintegrations/*", "imageformats/*", "iconengines/*", "tls/*", "wayland-*-client/*"),
        *("platforminputcontexts/*", "platformthemes/libqxdgdesktopportal.so"),
        "wayland-shell-integration/*",
    )
    todo = [qt / f"Qt{module}.abi3.so" for module in modules.split()]
    todo += [path for pattern in plugins for path in (qt / "Qt" / "plugins").glob(pattern)]
    todo.append(qt / "Qt" / "libexec" / "QtWebEngineProcess")
    seen: set[Path] = set()
    needed: set[str] = set()
    while todo:
        batch = [path for path in todo if path not in seen]
        seen.update(batch)
        todo = []
        if not batch:
            break
        shown = subprocess.run(
            [readelf, "-d", *map(str, batch)], check=True, capture_output=True, text=True
        )
        names = {
            line.split("[")[1].rstrip("]")
            for line in shown.stdout.splitlines()
            if "(NEEDED)" in line
        }
        todo = [own[name] for name in names if name in own]
        needed |= names - own.keys()
    return needed


def elf(root: Path) -> list[Path]:
    """Shared libraries below a folder."""
    return [path for path in root.rglob("*.so*") if path.is_file()]


@linux_only
def test_packages_of_missing_libraries(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "font.ttf").touch()
    monkeypatch.setattr(dev, "FONT_FOLDER", tmp_path)
    found = dev.missing_packages(["libasound.so.2", "libGL.so.1"], ["cc", "xauth"])
    assert found == [("libasound2t64", "libasound2"), ("libgl1",), ("gcc",), ("xauth",)]


def test_a_system_without_fonts_gets_some(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(dev, "FONT_FOLDER", tmp_path / "none")
    assert (dev.FONTS,) in dev.missing_packages([], [])


def test_python_without_ensurepip_gets_its_package_until_the_environment_has_pip(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    assert (package,) not in dev.missing_packages([], [])
    monkeypatch.setattr(dev.importlib.util, "find_spec", lambda _name: None)
    assert (package,) in dev.missing_packages([], [])
    # Its making may stop half-way: an interpreter, but no pip.
    dev.python().parent.mkdir(parents=True)
    dev.python().touch()
    assert (package,) in dev.missing_packages([], [])
    (dev.VENV / "lib" / "python3.11" / "site-packages" / "pip").mkdir(parents=True)
    assert (package,) not in dev.missing_packages([], [])


@linux_only
def test_needs_of_the_tests_depend_on_the_display(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(make_programs(tmp_path / "bin", cc="true")))
    monkeypatch.setitem(dev.TEST_NEEDS, str(tmp_path / "none.h"), "some-headers")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    missing = dev.missing_test_needs()
    assert {"xvfb-run", "xauth", str(tmp_path / "none.h")} <= set(missing)
    assert "cc" not in missing
    monkeypatch.setenv("DISPLAY", ":7")
    assert not {"xvfb-run", "xauth"} & set(dev.missing_test_needs())


@linux_only
def test_the_first_name_that_apt_knows_is_taken(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    packages = [("libasound2t64", "libasound2"), ("libgl1",)]
    old = 'case "$2" in libasound2) echo Package: $2;; *) exit 100;; esac'
    new = 'case "$2" in libasound2t64) echo Package: $2;; esac'
    monkeypatch.setenv("PATH", str(make_programs(tmp_path / "old", apt_cache=old)))
    assert dev.available_names(packages) == "libasound2 libgl1"
    monkeypatch.setenv("PATH", str(make_programs(tmp_path / "new", apt_cache=new)))
    assert dev.available_names(packages) == "libasound2t64 libgl1"


# --- other systems and people -----------------------------------------------------------------


@linux_only
@pytest.mark.parametrize(
    ("manager", "wanted"),
    [
        ("dnf", "dnf install 'libGL.so.1()(64bit)' xorg-x11-server-Xvfb"),
        ("zypper", "zypper install 'libGL.so.1()(64bit)' xvfb-run"),
        ("pacman", "pacman -S --needed alsa-lib"),
        ("other", "libGL.so.1, cc"),
    ],
)
def test_without_apt_packages_are_named_and_the_set_up_goes_on(
    dev: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    manager: str,
    wanted: str,
) -> None:
    monkeypatch.setenv("PATH", str(make_programs(tmp_path / "bin", **{manager: "exit 9"})))
    monkeypatch.setattr(dev, "missing_libraries", lambda _listing: ["libGL.so.1"])
    monkeypatch.setattr(dev, "missing_test_needs", lambda: ["cc"])
    dev.set_up_system(tests=True)
    assert wanted in capsys.readouterr().err


@linux_only
def test_a_plain_user_without_sudo_is_told_the_command(
    dev: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    programs = make_programs(tmp_path / "bin", apt_get="exit 9", apt_cache="exit 100")
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(dev.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(dev, "missing_libraries", lambda _listing: ["libasound.so.2"])
    with pytest.raises(dev.SetupError, match="As root, run: apt-get install libasound2"):
        dev.set_up_system(tests=True)
    # The command line works without Qt: no display, no error.
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    dev.set_up_system(tests=False)
    assert "warning: As root, run" in capsys.readouterr().err


@linux_only
def test_apt_runs_through_sudo_with_no_questions(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    programs = make_programs(
        tmp_path / "bin",
        sudo=f'echo "$@" >> {log}',
        apt_get="exit 9",
        apt_cache="echo Package",
    )
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(dev.os, "geteuid", lambda: 1000)
    dev.apt_install([("libgl1",), ("libasound2t64", "libasound2")])
    update, install = log.read_text().splitlines()
    assert update == "env DEBIAN_FRONTEND=noninteractive apt-get update -qq"
    assert install.endswith("install -y -qq --no-install-recommends libgl1 libasound2t64")


@linux_only
def test_a_failing_apt_is_an_error(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(make_programs(tmp_path / "bin", env="exit 100")))
    monkeypatch.setattr(dev.os, "geteuid", lambda: 0)
    with pytest.raises(dev.SetupError, match=r"apt-get failed.*libgl1"):
        dev.apt_install([("libgl1",)])


# --- the environment --------------------------------------------------------------------------


def copy_project(dev: ModuleType, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Let the script see a project of its own; returns its pyproject.toml."""
    folder.mkdir()
    project = folder / "pyproject.toml"
    project.write_text((SCRIPT.parents[1] / "pyproject.toml").read_text())
    monkeypatch.setattr(dev, "ROOT", folder)
    return project


def test_fingerprint_changes_with_what_is_installed(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project = copy_project(dev, monkeypatch, tmp_path / "project")
    first = dev.fingerprint("test")
    assert dev.fingerprint("test") == first
    assert dev.fingerprint("") != first
    monkeypatch.setattr(dev, "TEST_MODELS", "silero-vad==0")
    assert dev.fingerprint("test") != first
    monkeypatch.undo()
    monkeypatch.setattr(dev, "ROOT", tmp_path / "project")
    project.write_text(project.read_text() + "\n# more")
    assert dev.fingerprint("test") != first


def test_fingerprint_changes_with_the_folder(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copy_project(dev, monkeypatch, tmp_path / "one")
    first = dev.fingerprint("")
    copy_project(dev, monkeypatch, tmp_path / "two")
    assert dev.fingerprint("") != first


@pytest.fixture
def installed(dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What pip was asked to install, instead of doing so; the environment is a stand-in."""
    copy_project(dev, monkeypatch, tmp_path / "project")
    asked: list[str] = []

    def make() -> None:
        dev.python().parent.mkdir(parents=True, exist_ok=True)
        dev.python().touch()

    monkeypatch.setattr(dev, "set_up_system", lambda **_options: None)
    monkeypatch.setattr(dev, "make_venv", make)
    monkeypatch.setattr(dev, "pip", lambda *arguments: asked.append(arguments[-1]))
    return asked


def test_a_second_set_up_installs_nothing(dev: ModuleType, installed: list[str]) -> None:
    dev.set_up(extras="test")
    assert installed == [f"{dev.ROOT}[test]", dev.TEST_MODELS]
    dev.set_up(extras="test")
    # What the tests need holds what a run needs.
    dev.set_up(extras="")
    assert len(installed) == 2


def test_tests_after_a_run_install_the_extras(dev: ModuleType, installed: list[str]) -> None:
    dev.set_up(extras="")
    dev.set_up(extras="test")
    assert installed == [str(dev.ROOT), f"{dev.ROOT}[test]", dev.TEST_MODELS]


def test_a_changed_project_is_installed_again(dev: ModuleType, installed: list[str]) -> None:
    dev.set_up(extras="")
    with (dev.ROOT / "pyproject.toml").open("a") as project:
        project.write("\n# more")
    dev.set_up(extras="")
    assert len(installed) == 2


def test_a_lost_interpreter_is_installed_again(dev: ModuleType, installed: list[str]) -> None:
    dev.set_up(extras="")
    dev.python().unlink()
    dev.set_up(extras="")
    assert len(installed) == 2


def test_a_failed_install_leaves_no_mark(
    dev: ModuleType, installed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dev.set_up(extras="")
    before = (dev.ROOT / "pyproject.toml").read_text()

    def fail(*_arguments: str) -> None:
        raise dev.SetupError("pip failed")

    with monkeypatch.context() as patch:
        patch.setattr(dev, "pip", fail)
        (dev.ROOT / "pyproject.toml").write_text(before + "\n# more")
        with pytest.raises(dev.SetupError):
            dev.set_up(extras="")
    # Back to the text of before, but perhaps half of the new packages are there.
    (dev.ROOT / "pyproject.toml").write_text(before)
    dev.set_up(extras="")
    assert len(installed) == 2


def test_a_real_environment_is_made_kept_and_repaired(dev: ModuleType) -> None:
    dev.make_venv()
    mark = dev.VENV / "mark"
    mark.touch()
    version = [str(dev.python()), "-c", "import pip, sys; print(sys.prefix)"]
    shown = subprocess.run(version, check=True, capture_output=True, text=True)
    assert Path(shown.stdout.strip()).samefile(dev.VENV)
    dev.make_venv()
    assert mark.exists()
    for package in dev.VENV.glob("lib/*/site-packages/pip"):
        package.rename(package.with_name("gone"))
    dev.make_venv()
    assert not mark.exists()
    assert subprocess.run(version, check=False, capture_output=True).returncode == 0


def test_a_folder_that_is_no_environment_is_not_cleared(dev: ModuleType) -> None:
    dev.VENV.mkdir()
    mine = dev.VENV / "thesis.txt"
    mine.write_text("years of work")
    with pytest.raises(dev.SetupError, match="not a virtual environment"):
        dev.make_venv()
    assert mine.read_text() == "years of work"


def test_the_environment_s_folder_can_be_chosen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DUALSCOPE_VENV", "mine")
    chosen = load().VENV
    assert chosen == tmp_path / "mine"
    monkeypatch.setenv("DUALSCOPE_VENV", "")
    chosen = load().VENV
    assert chosen == SCRIPT.parents[1] / ".venv"


def test_pip_s_error_is_shown(dev: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    dev.make_venv()
    with pytest.raises(dev.SetupError, match="pip failed"):
        dev.pip("install", "--quiet", "--no-index", "no-such-package-here")
    assert "No matching distribution found for no-such-package-here" in capfd.readouterr().err


# --- commands ---------------------------------------------------------------------------------


def test_a_taken_name_gets_a_number(dev: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "model.dualscope"
    assert dev.free_name(path) == path
    path.touch()
    assert dev.free_name(path) == tmp_path / "model-2.dualscope"
    (tmp_path / "model-2.dualscope").touch()
    assert dev.free_name(path) == tmp_path / "model-3.dualscope"


@pytest.mark.parametrize(
    "arguments", [[], ["build"], ["--help"], ["run", "--help"], ["run", "a.onnx", "b.onnx"]]
)
def test_wrong_arguments_show_the_usage(
    dev: ModuleType, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert dev.main(arguments) == 2
    assert "dev.py run [MODEL]" in capsys.readouterr().out


def test_an_old_python_is_refused(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dev, "LOWEST_PYTHON", (99, 1))
    assert dev.main(["test"]) == 1
    assert "error: Dualscope needs Python 99.1 or newer" in capsys.readouterr().err


@linux_only
def test_the_virtual_screen(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DISPLAY", ":7")
    assert dev.virtual_screen() == []
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("PATH", str(make_programs(tmp_path / "bin", xvfb_run="true")))
    assert dev.virtual_screen()[0] == "xvfb-run"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
    assert dev.virtual_screen() == []
    assert os.environ["QT_QPA_PLATFORM"] == "offscreen"
