"""Known weight files over HTTPS: fetched when someone asks for them, resumed where a transfer broke
off, checked by size and SHA-256, and imported like a file that a person brought.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib import request
from urllib.error import HTTPError, URLError

from bench.errors import UserError
from bench.methods.contract import Method, Weights
from bench.methods.weights import by_hand, import_file, sha256_of

Progress = Callable[[int, int], None]
BLOCK = 1 << 16
TIMEOUT = 30.0
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


def https_opener(*, allow_http: bool = False) -> request.OpenerDirector:
    """An opener that knows no scheme but HTTPS, so that no redirect can leave it either.

    allow_http: only for tests, whose server on this machine has no certificate.
    """
    handlers: list[request.BaseHandler] = [
        request.ProxyHandler(),
        request.HTTPSHandler(),
        request.HTTPRedirectHandler(),
        request.HTTPDefaultErrorHandler(),
        request.HTTPErrorProcessor(),
        request.UnknownHandler(),
    ]
    if allow_http:
        handlers.append(request.HTTPHandler())
    opener = request.OpenerDirector()
    opener.addheaders = [("User-Agent", "ivif-bench")]
    for handler in handlers:
        opener.add_handler(handler)
    return opener


def choose(method: Method, name: str | None) -> Weights:
    """The known file of that name; without a name the first that can be fetched, else the first.

    Raises UserError for a method without known files and for an unknown name.
    """
    if not method.weights:
        needs = "no file is known" if method.needs_weights else "it needs none"
        raise UserError(f"{method.name} has no weights to fetch: {needs}.")
    if name is None:
        return next((known for known in method.weights if known.url), method.weights[0])
    for known in method.weights:
        if known.name == name:
            return known
    names = ", ".join(known.name for known in method.weights)
    raise UserError(f"{method.name} has no weights '{name}'; known: {names}.")


def fetch(
    method: Method,
    known: Weights,
    folder: Path,
    *,
    opener: request.OpenerDirector | None = None,
    progress: Progress = lambda done, total: None,
) -> Path:
    """Download a known file, check it, and import it into `folder`; returns the imported file.

    Raises UserError where no direct address is known, nothing answers, the transfer breaks off
    (what arrived is kept for the next attempt), or the file is not the known one.
    """
    if not known.url:
        order = by_hand(method, known)
        raise UserError(f"No direct download of {method.name}'s {known.file} is known: {order}.")
    if not (known.sha256 and known.bytes):
        order = by_hand(method, known)
        raise UserError(f"{method.name}'s {known.file} can't be checked after a download: {order}.")
    place = folder / method.name / f"{known.name}.download"
    file = place / Path(known.file).name
    part = file.with_name(file.name + ".part")
    try:
        transfer(known.url, part, known.bytes, opener or https_opener(), progress)
    except UserError as error:
        raise UserError(f"{error} By hand: {by_hand(method, known)}.") from None
    except OSError as error:
        raise UserError(f"{part} can't be written: {error.strerror}.") from None
    digest = sha256_of(part)
    if digest != known.sha256:
        part.unlink()
        raise UserError(
            f"{known.url} gave a file with sha256 {digest[:12]}… instead of {known.sha256[:12]}…: "
            "it was thrown away. If that happens again, the published file has changed."
        )
    os.replace(part, file)
    target = import_file(method, file, folder)
    shutil.rmtree(place)
    return target


def transfer(
    url: str, part: Path, size: int, opener: request.OpenerDirector, progress: Progress
) -> None:
    """Complete `part` to `size` bytes, from where an earlier attempt stopped if the server can.

    Raises UserError for an address that does not answer with a file of that size, and for a
    transfer that breaks off; OSError where `part` can't be written.
    """
    have = part.stat().st_size if part.is_file() else 0
    if have > size:
        part.unlink()
        have = 0
    if have == size:
        return
    with _open(url, have, opener) as answer:
        begin, total = _extent(answer)
        if begin not in (0, have):
            raise UserError(f"{url} answered with another part than was asked for.")
        if total not in (None, size):
            raise UserError(f"{url} has {total} bytes instead of {size}: it is another file.")
        part.parent.mkdir(parents=True, exist_ok=True)
        # A server that can't resume sends the whole file, which replaces the part.
        with part.open("ab" if begin else "wb") as stream:
            have = begin
            for block in _blocks(answer):
                have += len(block)
                if have > size:
                    break
                stream.write(block)
                progress(have, size)
    if have > size:
        part.unlink()
        raise UserError(f"{url} has more than {size} bytes: it is another file.")
    if have < size:
        raise UserError(f"{url} broke off after {have} of {size} bytes: run this again to go on.")


def _open(url: str, have: int, opener: request.OpenerDirector) -> HTTPResponse:
    asked = request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer: HTTPResponse = opener.open(asked, timeout=TIMEOUT)
        return answer
    except HTTPError as error:
        error.close()
        raise UserError(f"{url} answered {error.code} ({error.reason}).") from None
    except (URLError, OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error or type(error).__name__
        raise UserError(f"{url} can't be reached ({reason}): is this machine online?") from None


def _extent(answer: HTTPResponse) -> tuple[int, int | None]:
    """(first byte that is sent, size of the whole file or None) by the answer's headers."""
    if answer.status == 206:
        found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        return (int(found[1]), int(found[2])) if found else (-1, None)
    return 0, answer.length


def _blocks(answer: HTTPResponse) -> Iterator[bytes]:
    """The body; ends early where the connection breaks, since the size tells that anyway."""
    try:
        while block := answer.read(BLOCK):
            yield block
    except (OSError, HTTPException):
        return
