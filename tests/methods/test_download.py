"""Downloads over real sockets: whole, resumed, without resume, broken off, wrong, absent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.errors import UserError
from bench.methods import download, registry, weights
from bench.methods.contract import Method, Weights


@dataclass
class Server:
    """A file server of one file and what it was asked for.

    ranges: whether it can resume. stop: it hangs up after so many bytes. length: whether it says
    how many bytes come. asked: the Range header of every request, in order.
    """

    address: str
    content: bytes = b""
    ranges: bool = True
    stop: int | None = None
    length: bool = True
    redirect: str = ""
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            state.asked.append(asked)
            if state.redirect:
                self.send_response(302)
                self.send_header("Location", state.redirect)
                self.end_headers()
                return
            if self.path != "/file.pth":
                self.send_error(404)
                return
            begin = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
            begin = begin if state.ranges else 0
            body = state.content[begin:]
            self.send_response(206 if begin else 200)
            if begin:
                last, size = len(state.content) - 1, len(state.content)
                self.send_header("Content-Range", f"bytes {begin}-{last}/{size}")
            if state.length:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.stop])

        def log_message(self, format: str, *args: Any) -> None: ...

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        state = Server(f"http://127.0.0.1:{http.server_port}")
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield state
        http.shutdown()
        thread.join()


@pytest.fixture
def method(tmp_path: Path, server: Server) -> Method:
    """DenseFuse with one known file of weights drawn here, which the server has."""
    found = registry.method("densefuse")
    torch.manual_seed(3)
    file = tmp_path / "source.pth"
    torch.save(found.build().state_dict(), file)
    server.content = file.read_bytes()
    known = Weights(
        name="test",
        track="official",
        file="file.pth",
        sha256=weights.sha256_of(file),
        bytes=len(server.content),
        origin="the authors' page",
        licence="MIT",
        trained_on=(),
        url=f"{server.address}/file.pth",
    )
    return replace(found, weights=(known,))


def fetch(method: Method, folder: Path, **changes: Any) -> tuple[Path, list[int]]:
    """The imported file and the counts that were reported."""
    counts: list[int] = []
    target = download.fetch(
        method,
        replace(method.weights[0], **changes),
        folder,
        opener=download.https_opener(allow_http=True),
        progress=lambda done, total: counts.append(done),
    )
    return target, counts


def part(folder: Path) -> Path:
    return folder / "densefuse" / "test.download" / "file.pth.part"


def test_a_fetched_file_is_imported_and_nothing_else_is_left(
    tmp_path: Path, method: Method, server: Server
) -> None:
    target, counts = fetch(method, tmp_path / "w")
    assert counts[-1] == len(server.content) and counts == sorted(counts)
    assert [path for path in (tmp_path / "w").rglob("*") if path.is_file()] == [target]
    found = weights.resolve(method, tmp_path / "w")
    assert (found.path, found.track) == (target, "official")
    network = weights.build(method, found)
    torch.manual_seed(3)
    drawn = method.build().state_dict()
    assert all(torch.equal(value, drawn[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize(("ranges", "length"), [(True, True), (False, True), (False, False)])
def test_a_broken_transfer_is_continued(
    tmp_path: Path, method: Method, server: Server, ranges: bool, length: bool
) -> None:
    server.ranges, server.length = ranges, length
    server.stop = 100_000
    size = len(server.content)
    with pytest.raises(UserError, match=f"broke off after 100000 of {size} bytes: run this again"):
        fetch(method, tmp_path)
    assert part(tmp_path).read_bytes() == server.content[:100_000]
    server.stop = None
    target, counts = fetch(method, tmp_path)
    assert server.asked == [None, "bytes=100000-"]
    assert (counts[0] > 100_000) is ranges, "a server without ranges sends the whole file again"
    assert weights.problem(tmp_path, method, method.weights[0]) == "" and target.is_file()


def test_another_file_of_the_same_size_is_thrown_away(
    tmp_path: Path, method: Method, server: Server
) -> None:
    server.content = server.content[:-1] + bytes([server.content[-1] ^ 1])
    wanted = method.weights[0].sha256[:12]
    with pytest.raises(UserError, match=f"instead of {wanted}…: it was thrown away"):
        fetch(method, tmp_path)
    assert not part(tmp_path).exists()
    assert weights.locate(tmp_path, method, method.weights[0]) is None


@pytest.mark.parametrize("length", [True, False])
def test_a_file_of_another_size_is_refused(
    tmp_path: Path, method: Method, server: Server, length: bool
) -> None:
    server.length = length
    server.content += b"more"
    with pytest.raises(UserError, match="it is another file"):
        fetch(method, tmp_path)
    assert not part(tmp_path).exists()


def test_a_longer_part_of_earlier_days_is_not_continued(
    tmp_path: Path, method: Method, server: Server
) -> None:
    part(tmp_path).parent.mkdir(parents=True)
    part(tmp_path).write_bytes(server.content + b"more")
    assert fetch(method, tmp_path)[0].is_file()
    assert server.asked == [None]


def test_an_absent_file_names_the_way_by_hand(tmp_path: Path, method: Method) -> None:
    url = method.weights[0].url.replace("file", "moved")
    with pytest.raises(UserError) as refused:
        fetch(method, tmp_path, url=url)
    assert str(refused.value) == (
        f"{url} answered 404 (Not Found). By hand: get file.pth from the authors' page and run "
        "'bench weights import densefuse file.pth'."
    )
    assert not list(tmp_path.glob("densefuse"))


def test_no_answer_is_one_sentence(tmp_path: Path, method: Method) -> None:
    # Port 1 is reserved: nobody listens there.
    with pytest.raises(UserError, match="can't be reached .* is this machine online"):
        fetch(method, tmp_path, url="http://127.0.0.1:1/file.pth")


def test_nothing_but_https_is_spoken(tmp_path: Path, method: Method, server: Server) -> None:
    with pytest.raises(UserError, match="can't be reached .*unknown url type: http"):
        download.fetch(method, method.weights[0], tmp_path)
    assert server.asked == []


def test_a_redirect_does_not_leave_the_allowed_schemes(
    tmp_path: Path, method: Method, server: Server
) -> None:
    server.redirect = "ftp://127.0.0.1/file.pth"
    with pytest.raises(UserError, match="can't be reached .*unknown url type: ftp"):
        fetch(method, tmp_path)
    assert server.asked == [None]


def test_a_file_without_a_known_address_names_the_way_by_hand(
    tmp_path: Path, method: Method, server: Server
) -> None:
    with pytest.raises(
        UserError, match="No direct download .* get file.pth from the authors' page"
    ):
        fetch(method, tmp_path, url="")
    assert server.asked == []


@pytest.mark.parametrize("unknown", [{"sha256": ""}, {"bytes": 0}])
def test_a_file_that_cannot_be_checked_is_not_downloaded(
    tmp_path: Path, method: Method, server: Server, unknown: dict[str, Any]
) -> None:
    with pytest.raises(UserError, match="can't be checked after a download: get file.pth"):
        fetch(method, tmp_path, **unknown)
    assert server.asked == []


def test_the_file_is_chosen_by_name_or_by_its_address(method: Method) -> None:
    first, second = replace(method.weights[0], url=""), replace(method.weights[0], name="b")
    both = replace(method, weights=(first, second))
    assert download.choose(both, None) == second
    assert download.choose(both, "test") == first
    with pytest.raises(UserError, match="has no weights 'c'; known: test, b"):
        download.choose(both, "c")
    with pytest.raises(UserError, match="average has no weights to fetch: it needs none"):
        download.choose(registry.method("average"), None)


def test_known_addresses_are_https() -> None:
    known = [w for name in registry.names() for w in registry.method(name).weights if w.url]
    assert len(known) >= 2
    for record in known:
        assert record.url.startswith("https://")
        assert len(record.sha256) == 64 and record.bytes > 0
