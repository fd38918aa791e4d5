"""Downloads from a real HTTPS server on this computer, cut, changed and refused on the way."""

from __future__ import annotations

import contextlib
import datetime
import gzip
import hashlib
import ipaddress
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from test_device_runner_elf import elf

from fer_opt.device.runner import PUBLISHED, Runner, choose_runner, fetch_runner, kept_runner
from fer_opt.device.runner import transfer as transfer_module
from fer_opt.errors import RunnerError

ARM = elf("arm64-v8a") + os.urandom(400_000)


@dataclass
class Site:
    """What the server has and how it behaves; every request is written down."""

    content: bytes = ARM
    etag: str = '"one"'
    modified: str = ""
    status: int = 200
    ranges: bool = True
    heeds_if_range: bool = True
    cuts: list[int] = field(default_factory=list)
    redirect: str = ""
    tells_length: bool = True
    asked: list[dict[str, str]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}/latest/android_aarch64_benchmark_model"


def handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site.asked.append({key.lower(): value for key, value in self.headers.items()})
            if site.redirect:
                self.send_response(302)
                self.send_header("Location", site.redirect)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if self.headers.get("If-None-Match") == site.etag and site.etag:
                self.send_response(304)
                self.end_headers()
                return
            begin = self._begin()
            if begin >= len(site.content) > 0:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(site.content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if begin else site.status)
            if begin:
                last = len(site.content) - 1
                self.send_header("Content-Range", f"bytes {begin}-{last}/{len(site.content)}")
            body = site.content[begin:]
            if site.tells_length:
                self.send_header("Content-Length", str(len(body)))
            else:
                self.send_header("Connection", "close")
            for name, value in (("ETag", site.etag), ("Last-Modified", site.modified)):
                if value:
                    self.send_header(name, value)
            self.end_headers()
            most = site.cuts.pop(0) if site.cuts else len(body)
            with contextlib.suppress(OSError):
                self.wfile.write(body[:most])
            self.close_connection = most < len(body) or not site.tells_length

        def _begin(self) -> int:
            asked = self.headers.get("Range")
            if asked is None or not site.ranges or site.status != 200:
                return 0
            proof = self.headers.get("If-Range")
            if site.heeds_if_range and proof not in (None, site.etag, site.modified):
                return 0
            return int(asked.removeprefix("bytes=").removesuffix("-"))

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key, in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test's server")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "both.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture
def site(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server that is trusted by way of REQUESTS_CA_BUNDLE, and short pauses between tries."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(transfer_module, "PAUSES_S", (0.01, 0.01))
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(site))
    server.handle_error = lambda *_: None  # type: ignore[method-assign] - refused handshakes
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    site.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(site: Site, cache: Path, **options: object) -> Runner:
    return fetch_runner("arm64-v8a", url=site.url, cache=cache, **options)  # type: ignore[arg-type]


def files(cache: Path) -> list[str]:
    return sorted(
        path.name for path in (cache / "runners" / "arm64-v8a").iterdir() if path.suffix != ".lock"
    )


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Told:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.stages: list[tuple[str, int]] = []
        self.counts: list[int] = []

    @contextlib.contextmanager
    def stage(self, title: str, total: int) -> Iterator[object]:
        self.stages.append((title, total))
        self.counts.append(0)

        def advance(count: int) -> None:
            self.counts[-1] += count

        yield advance

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)


def test_a_download_is_kept_with_what_is_known_of_it(site: Site, tmp_path: Path) -> None:
    told = Told()
    runner = fetch(site, tmp_path, sha256=digest(ARM).upper(), progress=told)
    assert runner.path.read_bytes() == ARM
    assert runner.path.stat().st_mode & 0o777 == 0o755
    assert (runner.name, runner.abi, runner.source) == ("benchmark_model", "arm64-v8a", site.url)
    assert (runner.sha256, runner.size_bytes) == (digest(ARM), len(ARM))
    assert runner.loader == "/system/bin/linker64"
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(runner.fetched_at)
    assert abs(age.total_seconds()) < 60
    assert json.loads(runner.path.with_suffix(".json").read_text()) == {
        "url": site.url,
        "fetched_at": runner.fetched_at,
        "etag": '"one"',
        "size_bytes": len(ARM),
        "sha256": digest(ARM),
    }
    assert files(tmp_path) == ["benchmark_model", "benchmark_model.json"]
    assert told.stages == [("benchmark_model for arm64-v8a", len(ARM))]
    assert told.counts == [len(ARM)]
    assert choose_runner(("arm64-v8a", "armeabi-v7a"), cache=tmp_path) == runner
    assert kept_runner("arm64-v8a", tmp_path) == runner


def test_the_users_cache_is_the_default(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FER_OPT_CACHE", str(tmp_path / "mine"))
    runner = fetch_runner("arm64-v8a", url=site.url)
    assert runner.path == tmp_path / "mine" / "runners" / "arm64-v8a" / "benchmark_model"
    assert choose_runner(("arm64-v8a",)) == runner


def test_an_unchanged_file_is_not_fetched_again_and_a_changed_one_is(
    site: Site, tmp_path: Path
) -> None:
    first, told = fetch(site, tmp_path), Told()
    again = fetch(site, tmp_path, progress=told)
    assert (again, told.stages) == (first, [])
    assert told.sentences == [
        f"The server still has the file of {first.fetched_at}; nothing was fetched."
    ]
    site.content, site.etag = elf("arm64-v8a") + b"new", '"two"'
    assert fetch(site, tmp_path).sha256 == digest(site.content)


def test_a_pinned_file_that_is_here_needs_no_network(site: Site, tmp_path: Path) -> None:
    first = fetch(site, tmp_path)
    site.asked.clear()
    assert fetch(site, tmp_path, sha256=digest(ARM)) == first
    assert site.asked == []


def test_a_transfer_that_breaks_off_goes_on_by_itself(site: Site, tmp_path: Path) -> None:
    site.cuts = [98_304, 8_192, 1]
    told = Told()
    assert fetch(site, tmp_path, progress=told).path.read_bytes() == ARM
    assert [one.get("range") for one in site.asked] == [
        None, "bytes=98304-", "bytes=106496-", "bytes=106496-"
    ]  # fmt: skip
    assert {one.get("if-range") for one in site.asked[1:]} == {'"one"'}
    assert told.counts[-1] == len(ARM)


def test_the_next_call_goes_on_where_the_last_one_gave_up(site: Site, tmp_path: Path) -> None:
    site.cuts = [196_608, 0, 0]
    with pytest.raises(RunnerError) as caught:
        fetch(site, tmp_path)
    text = str(caught.value)
    assert text.startswith("The download from 127.0.0.1 broke off after 196608 bytes (")
    assert text.endswith("run the same command to go on from there, or download it by other means "
                         "and use --runner PATH.")  # fmt: skip
    site.asked.clear()
    assert fetch(site, tmp_path).path.read_bytes() == ARM
    assert [one.get("range") for one in site.asked] == ["bytes=196608-"]
    assert files(tmp_path) == ["benchmark_model", "benchmark_model.json"]


def give_up_after(site: Site, cache: Path, count: int) -> None:
    site.cuts = [count, 0, 0]
    with pytest.raises(RunnerError, match=f"broke off after {count} bytes"):
        fetch(site, cache)
    assert site.cuts == []
    site.asked.clear()


@pytest.mark.parametrize("heeds_if_range", [True, False])
def test_a_file_that_changed_meanwhile_is_never_spliced(
    site: Site, tmp_path: Path, heeds_if_range: bool
) -> None:
    give_up_after(site, tmp_path, 196_608)
    site.content, site.etag = elf("arm64-v8a") + os.urandom(300_000), '"two"'
    site.heeds_if_range = heeds_if_range  # a server that ignores it answers 206 of the new file
    assert fetch(site, tmp_path).path.read_bytes() == site.content
    assert len(site.asked) == (1 if heeds_if_range else 2)


def test_a_changed_file_shorter_than_the_part_is_fetched_whole(site: Site, tmp_path: Path) -> None:
    give_up_after(site, tmp_path, 196_608)
    site.content, site.etag, site.heeds_if_range = elf("arm64-v8a"), '"two"', False
    assert fetch(site, tmp_path).path.read_bytes() == site.content


@pytest.mark.parametrize(
    ("etag", "modified", "resumed"),
    [
        ('W/"weak"', "", False),
        ("", "", False),
        ("", "Tue, 24 Nov 2026 00:00:00 GMT", True),
        ('W/"weak"', "Tue, 24 Nov 2026 00:00:00 GMT", True),
    ],
)
def test_a_part_is_continued_only_with_proof(
    site: Site, tmp_path: Path, etag: str, modified: str, resumed: bool
) -> None:
    site.etag, site.modified, site.cuts = etag, modified, [100_000]
    assert fetch(site, tmp_path).path.read_bytes() == ARM
    assert site.asked[1].get("if-range") == (modified if resumed else None)


def test_a_server_without_ranges_sends_it_whole(site: Site, tmp_path: Path) -> None:
    give_up_after(site, tmp_path, 196_608)
    site.ranges = False
    assert fetch(site, tmp_path).path.read_bytes() == ARM


def test_a_server_that_tells_no_length_is_believed_to_the_end(site: Site, tmp_path: Path) -> None:
    site.tells_length = False
    told = Told()
    assert fetch(site, tmp_path, progress=told).path.read_bytes() == ARM
    assert told.stages == [("benchmark_model for arm64-v8a", 0)]


def test_a_killed_download_leaves_a_part_that_is_continued(site: Site, tmp_path: Path) -> None:
    """A real process, killed while the server holds back the rest."""
    site.cuts = [147_456]
    give_up = (
        "import sys, os\n"
        "from pathlib import Path\n"
        "from fer_opt.device.runner import transfer\n"
        "transfer.time.sleep = lambda _: os.kill(os.getpid(), 9)\n"
        "from fer_opt.device.runner import fetch_runner\n"
        "fetch_runner('arm64-v8a', url=sys.argv[1], cache=Path(sys.argv[2]))\n"
    )
    done = subprocess.run([sys.executable, "-c", give_up, site.url, tmp_path], check=False)
    assert done.returncode == -9
    assert kept_runner("arm64-v8a", tmp_path) is None
    site.asked.clear()
    assert fetch(site, tmp_path).path.read_bytes() == ARM
    assert site.asked[0]["range"] == "bytes=147456-"


def test_a_wrong_hash_is_refused_and_the_earlier_download_kept(site: Site, tmp_path: Path) -> None:
    first = fetch(site, tmp_path)
    site.content, site.etag = elf("arm64-v8a") + b"other", '"two"'
    with pytest.raises(RunnerError) as caught:
        fetch(site, tmp_path, sha256="0" * 64)
    assert str(caught.value).startswith(
        f"{site.url} has the SHA-256 {digest(site.content)}, not {'0' * 64}; nightly builds change"
    )
    assert kept_runner("arm64-v8a", tmp_path) == first
    assert files(tmp_path) == ["benchmark_model", "benchmark_model.json"]
    site.content, site.etag = ARM, '"one"'
    with pytest.raises(RunnerError, match="has the SHA-256"):  # the server says: unchanged
        fetch(site, tmp_path, sha256="0" * 64)
    with pytest.raises(RunnerError, match="'12ab' is no SHA-256; give its 64 hexadecimal digits"):
        fetch(site, tmp_path, sha256="12ab")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>Sign in to this Wi-Fi</html>", "sent is neither an ELF program nor a script; "
         "check the address given with --url."),
        (b"#!/bin/sh\n", "sent is a script, not a program; check the address."),
        (elf("armeabi-v7a"), "is a program for armeabi-v7a, not for arm64-v8a; check the address, "
         "or fetch it for armeabi-v7a."),
        (elf("arm64-v8a", loader="/lib/ld-linux-aarch64.so.1"), "is a program for desktop Linux "
         "(it needs /lib/ld-linux-aarch64.so.1), which a phone does not run; take the one whose "
         "name begins with android."),
        (gzip.compress(ARM), "sent is neither an ELF program nor a script"),
    ],
)  # fmt: skip
def test_what_is_no_program_for_that_phone_is_not_kept(
    site: Site, tmp_path: Path, content: bytes, words: str
) -> None:
    site.content = content
    with pytest.raises(RunnerError) as caught:
        fetch(site, tmp_path)
    assert words in str(caught.value)
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "127.0.0.1 has no benchmark_model at /latest/android_aarch64_benchmark_model (HTTP "
         "404); find today's address on TensorFlow's page"),
        (403, "127.0.0.1 does not hand out /latest/android_aarch64_benchmark_model (HTTP 403); "
         "try again later"),
        (503, "(HTTP 503); try again later, or download it by other means and use --runner PATH."),
    ],
)  # fmt: skip
def test_refusals_of_the_server_are_one_sentence(
    site: Site, tmp_path: Path, status: int, words: str
) -> None:
    site.status = status
    with pytest.raises(RunnerError) as caught:
        fetch(site, tmp_path)
    assert words in str(caught.value)


def test_a_certificate_nobody_vouches_for_is_refused(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(RunnerError) as caught:
        fetch(site, tmp_path)
    assert str(caught.value) == (
        "The connection to 127.0.0.1 cannot be trusted (self-signed certificate); if a proxy opens "
        "it, name its certificate in REQUESTS_CA_BUNDLE, or download it by other means and use "
        "--runner PATH."
    )
    assert site.asked == []


def test_a_certificate_file_that_is_missing_is_named(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "gone.pem"))
    with pytest.raises(RunnerError, match=r"gone\.pem"):
        fetch(site, tmp_path)


@pytest.mark.parametrize("target", ["http://127.0.0.1:9/x", "ftp://127.0.0.1/x"])
def test_redirections_never_leave_https(site: Site, tmp_path: Path, target: str) -> None:
    site.redirect = target
    with pytest.raises(RunnerError, match="sends us on to an address without encryption"):
        fetch(site, tmp_path)


def test_endless_redirections_end(site: Site, tmp_path: Path) -> None:
    site.redirect = site.url
    with pytest.raises(RunnerError, match="Exceeded 30 redirects"):
        fetch(site, tmp_path)


@pytest.mark.parametrize(
    "url", ["http://example.org/x", "ftp://example.org/x", "/etc/passwd", "https://", "https://[x"]
)
def test_only_https_addresses_are_asked(tmp_path: Path, url: str) -> None:
    with pytest.raises(RunnerError, match="is no https address"):
        fetch_runner("arm64-v8a", url=url, cache=tmp_path)


def test_secrets_in_an_address_reach_neither_records_nor_messages(
    site: Site, tmp_path: Path
) -> None:
    url = site.url.replace("127", "user:secret@127") + "?token=secret"
    runner = fetch_runner("arm64-v8a", url=url, cache=tmp_path)
    assert runner.source == site.url
    site.content, site.etag = b"<html>", ""
    with pytest.raises(RunnerError) as caught:
        fetch_runner("arm64-v8a", url=url, cache=tmp_path)
    assert "secret" not in str(caught.value)


def test_no_network_is_one_sentence(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(RunnerError) as caught:
        fetch_runner("arm64-v8a", url="https://127.0.0.1:9/x", cache=tmp_path)
    assert str(caught.value).startswith("127.0.0.1 cannot be reached (Connection refused); check")
    with pytest.raises(RunnerError) as caught:
        fetch_runner("arm64-v8a", url="https://nowhere.invalid/x", cache=tmp_path)
    assert str(caught.value).startswith("nowhere.invalid cannot be reached (")
    assert "0x" not in str(caught.value)


def test_a_full_disk_is_named(site: Site, tmp_path: Path) -> None:
    """/dev/full in place of the part's file: a real ENOSPC, from a real write."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    part = tmp_path / "runners" / "arm64-v8a" / "benchmark_model.part"
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")
    with pytest.raises(RunnerError) as caught:
        fetch(site, tmp_path)
    assert str(caught.value) == (
        f"{part.parent} cannot be written (the disk is full); make room there, or name another "
        "folder in FER_OPT_CACHE."
    )


def test_a_cache_that_cannot_be_made_is_named(site: Site, tmp_path: Path) -> None:
    (tmp_path / "runners").write_text("a file in the way")
    with pytest.raises(RunnerError, match="cannot be used as an output folder"):
        fetch(site, tmp_path)


def test_what_is_too_large_is_no_benchmark_model(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer_module, "MOST_BYTES", 1 << 18)
    for site.tells_length in (True, False):
        with pytest.raises(RunnerError, match="is larger than 0 MB, which no benchmark_model is"):
            fetch(site, tmp_path)


def test_a_damaged_download_counts_as_none(site: Site, tmp_path: Path) -> None:
    runner = fetch(site, tmp_path)
    runner.path.write_bytes(ARM[:-1])
    assert kept_runner("arm64-v8a", tmp_path) is None
    with pytest.raises(RunnerError, match="There is no benchmark_model for this phone"):
        choose_runner(("arm64-v8a",), cache=tmp_path)
    assert fetch(site, tmp_path).sha256 == runner.sha256  # although the server's mark is the same
    runner.path.with_suffix(".json").write_text("{")
    assert kept_runner("arm64-v8a", tmp_path) is None


def test_two_fetch_one_after_the_other(site: Site, tmp_path: Path) -> None:
    runners: list[Runner] = []
    threads = [
        threading.Thread(target=lambda: runners.append(fetch(site, tmp_path))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runners) == 3
    assert len(set(runners)) == 1
    assert [one.get("if-none-match") for one in site.asked] == [None, '"one"', '"one"']


def test_published_builds_are_those_of_phones() -> None:
    assert set(PUBLISHED) == {"armeabi-v7a", "arm64-v8a"}
    assert all(url.startswith("https://") for url in PUBLISHED.values())
    with pytest.raises(RunnerError) as caught:
        fetch_runner("x86_64")
    assert str(caught.value).startswith(
        "No benchmark_model is published for x86_64 Android; build one (in TensorFlow's sources: "
        "bazel build -c opt --config=android_x86_64 "
    )
    for abi in ("mips", "arm", "", "../x"):
        with pytest.raises(RunnerError, match="is no ABI that runners are fetched for; choose arm"):
            fetch_runner(abi, url="https://example.org/x")
