"""Which build a phone gets, and the script that builds."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import platformdirs
import pytest
from stage_bench_builds import BUILDS, NATIVE, SOURCES, built, load_script

from fer_opt.device.runner import own_runner_path
from fer_opt.device.stage_bench import builds_folder, choose_stage_bench
from fer_opt.errors import RunnerError

BUILD = SOURCES / "build.py"


def elf(machine: int, bits: int, *, loader: str = "") -> bytes:
    """The head of a program, without any code."""
    word = "I" if bits == 32 else "Q"
    head = b"\x7fELF" + bytes([bits // 32, 1, 1]) + bytes(9)
    size = 52 if bits == 32 else 64
    rows = 1 if loader else 0
    row_bytes = 32 if bits == 32 else 56
    head += struct.pack("<HHI" + word * 3, 2, machine, 1, 0x1000, size, 0)
    head += struct.pack("<IHHHHHH", 0, size, row_bytes, rows, 0, 0, 0)
    if not loader:
        return head
    at, text = size + row_bytes, loader.encode() + b"\0"
    row = (
        struct.pack("<IIIIIIII", 3, at, 0, 0, len(text), 0, 0, 0)
        if bits == 32
        else struct.pack("<IIQQQQQQ", 3, 0, at, 0, 0, len(text), 0, 0)
    )
    return head + row + text


ARM, ARM64, X86_64 = (40, 32), (183, 64), (62, 64)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for abi, machine in {"armeabi-v7a": ARM, "arm64-v8a": ARM64, "x86_64": X86_64}.items():
        (tmp_path / abi).mkdir()
        (tmp_path / abi / "stage_bench").write_bytes(elf(*machine))
    return tmp_path


def test_a_phone_gets_the_best_build_it_runs(folder: Path) -> None:
    assert choose_stage_bench(["armeabi-v7a", "armeabi"], named=folder).abi == "armeabi-v7a"
    both = ["arm64-v8a", "armeabi-v7a"]
    assert choose_stage_bench(both, named=folder).abi == "arm64-v8a"
    (folder / "arm64-v8a" / "stage_bench").unlink()
    chosen = choose_stage_bench(both, named=folder)
    assert (chosen.abi, chosen.path) == ("armeabi-v7a", folder / "armeabi-v7a" / "stage_bench")


def test_a_virtual_phone_gets_its_computers_build(folder: Path) -> None:
    assert choose_stage_bench(["armeabi-v7a"], named=folder, virtual_machine="x86_64").abi == (
        "x86_64"
    )
    named = folder / "armeabi-v7a" / "stage_bench"
    assert choose_stage_bench(["armeabi-v7a"], named=named, virtual_machine="x86_64").path == named


def test_the_wrong_build_is_refused_with_the_way_out(folder: Path) -> None:
    wrong = folder / "arm64-v8a" / "stage_bench"
    advice = "python device/stage_bench/build.py"
    with pytest.raises(RunnerError, match=f"made for arm64-v8a, but the phone runs arm.*{advice}"):
        choose_stage_bench(["armeabi-v7a"], named=wrong)
    with pytest.raises(RunnerError, match=f"is a script.*{advice}"):
        choose_stage_bench(["armeabi-v7a"], named=own_runner_path())
    dynamic = folder / "dynamic"
    dynamic.write_bytes(elf(*ARM, loader="/lib/ld-musl-armhf.so.1"))
    with pytest.raises(RunnerError, match=f"no static program.*{advice}"):
        choose_stage_bench(["armeabi-v7a"], named=dynamic)
    with pytest.raises(RunnerError, match=r"cannot be read .* name a stage_bench"):
        choose_stage_bench(["armeabi-v7a"], named=folder / "missing")
    (folder / "text").write_text("no program")
    with pytest.raises(RunnerError, match="name a stage_bench for Android"):
        choose_stage_bench(["armeabi-v7a"], named=folder / "text")


def test_a_missing_build_is_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match=r"has no stage_bench for this phone \(armeabi-v7a\)"):
        choose_stage_bench(["armeabi-v7a"], named=tmp_path)
    with pytest.raises(RunnerError, match="has no stage_bench for this phone"):
        choose_stage_bench(["armeabi-v7a"])


@pytest.mark.parametrize("abi", ["armeabi-v7a", "arm64-v8a", "x86_64"])
def test_what_was_built_is_static_and_for_its_processor(abi: str) -> None:
    if not (BUILDS / abi / "stage_bench").is_file():
        pytest.skip(f"no stage_bench for {abi}; build it with device/stage_bench/build.py")
    chosen = choose_stage_bench([abi], named=BUILDS)
    assert (chosen.name, chosen.abi, chosen.loader) == ("stage_bench", abi, "")
    assert chosen.size_bytes < 1 << 20


def test_the_script_builds_where_fer_opt_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    script = load_script("libjpeg_turbo")
    assert script.cache_folder() / "stage_bench" == builds_folder()
    monkeypatch.delenv("FER_OPT_CACHE")
    assert script.cache_folder() == Path(platformdirs.user_cache_dir("fer-opt"))


def build(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(BUILD), *map(str, words)], capture_output=True, text=True, check=False
    )


def test_other_sources_are_refused(tmp_path: Path) -> None:
    done = build("--out", tmp_path / "out", "--libjpeg-turbo", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{tmp_path} has no jdapistd.c; name a folder or archive")
    (tmp_path / "text.tar.gz").write_text("no archive")
    done = build("--out", tmp_path / "out", "--libjpeg-turbo", tmp_path / "text.tar.gz")
    assert done.returncode == 2
    assert "cannot be unpacked" in done.stderr
    sources = tmp_path / "libjpeg-turbo-9"
    (sources / "simd" / "arm" / "aarch64").mkdir(parents=True)
    for name in ("jdapistd.c", "simd/arm/aarch64/jsimd.c"):
        (sources / name).touch()
    (sources / "CMakeLists.txt").write_text("set(VERSION 9.0.1)\n")
    archive = tmp_path / "nine.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(sources, "libjpeg-turbo-9")
    for named in (sources, archive):
        done = build("--out", tmp_path / "out", "--libjpeg-turbo", named)
        assert done.returncode == 2
        assert "is libjpeg-turbo 9.0.1, which is laid out otherwise" in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_archive_cannot_write_outside_its_folder(tmp_path: Path) -> None:
    archive = tmp_path / "evil.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo("../escaped")
        member.size = 2
        tar.addfile(member, io.BytesIO(b"hi"))
    done = build("--out", tmp_path / "out", "--libjpeg-turbo", archive)
    assert done.returncode == 2
    assert "cannot be unpacked" in done.stderr
    assert not list(tmp_path.rglob("escaped"))


def test_what_comes_from_the_network_must_be_the_pinned_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = load_script("libjpeg_turbo")
    monkeypatch.setenv("FER_OPT_CACHE", str(tmp_path))
    monkeypatch.setattr(script, "_from_project", lambda: b"another archive")

    def fail() -> bytes:
        raise script.SourceError("there is no apt-get")

    monkeypatch.setattr(script, "_from_debian", fail)
    with pytest.raises(script.SourceError) as caught:
        script.unpacked(None, tmp_path / "into")
    assert "another file than the pinned archive" in str(caught.value)
    assert "there is no apt-get" in str(caught.value)
    assert "name it with --libjpeg-turbo" in str(caught.value)
    assert not list(tmp_path.rglob("*.tar.gz"))


def test_debians_repositories_are_asked_for_sources_in_either_notation(tmp_path: Path) -> None:
    script = load_script("libjpeg_turbo")
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(
        "# deb http://commented.example/debian stable main\n"
        "deb [arch=amd64] http://mirror.example/debian stable main contrib\n"
        "deb-src http://already.example/debian stable main\n"
    )
    (tmp_path / "sources.list.d" / "other.list").write_text(
        "deb https://packages.example/apt other main\n"
    )
    (tmp_path / "sources.list.d" / "ubuntu.sources").write_text(
        "Types: deb\nURIs: http://mirror.example/ubuntu/\nSuites: noble noble-updates\n"
        "Components: main universe\nSigned-By: /keys.gpg\n\n"
        "Types: deb\nURIs: http://node.example/repo\nSuites: nodistro\nComponents: main\n"
    )
    assert script.source_lists(tmp_path).splitlines() == [
        "deb-src [arch=amd64] http://mirror.example/debian stable main contrib",
        "deb-src [signed-by=/keys.gpg] http://mirror.example/ubuntu/ noble main universe",
        "deb-src [signed-by=/keys.gpg] http://mirror.example/ubuntu/ noble-updates main universe",
    ]


def test_nothing_is_built_twice() -> None:
    built(NATIVE)
    done = build("--target", "host", "--out", BUILDS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("is up to date\n")
