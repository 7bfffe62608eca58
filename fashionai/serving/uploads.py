"""Reads the images of a request, within the limits."""

from __future__ import annotations

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from fashionai.errors import counted
from fashionai.serving.limits import Limits

FORM = "multipart/form-data"
# Texts beside the images of a form; they are ignored.
MOST_FIELDS = 16


async def read_images(request: Request, limits: Limits) -> list[tuple[str, bytes]]:
    """The images of a form by the names of their files.

    Raises HTTPException: 415 for another kind of body, 413 for one that is too long and for too
    many images, 400 for a damaged form, 422 for one without images.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != FORM:
        raise HTTPException(415, f"expected the content type {FORM}, got '{content_type}'")
    limited = Request(request.scope, _Limited(request, limits.request_bytes).receive)
    try:
        async with limited.form(max_files=limits.images, max_fields=MOST_FIELDS) as form:
            files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
            images = [(_name(file), await file.read()) for file in files]
    except HTTPException as error:
        if error.detail.startswith("Too many files"):
            raise HTTPException(
                413, f"expected at most {counted(limits.images, 'image')}"
            ) from None
        raise
    except ClientDisconnect:
        raise HTTPException(400, "the client has left") from None
    except (ValueError, LookupError) as error:  # the parser's own, of a damaged form
        raise HTTPException(400, f"the form cannot be read: {error}") from None
    if not images:
        raise HTTPException(422, "no images in the form")
    return images


def body_length(request: Request, most: int) -> int:
    """The most bytes of a request's body that are read: the stated number, or the limit."""
    return min(_stated_length(request, default=most), most)


def _stated_length(request: Request, default: int) -> int:
    stated = request.headers.get("content-length", "")
    return int(stated) if stated.isdecimal() else default


def _name(file: UploadFile) -> str:
    """The name of a file, which another character set may have filled with what is no text."""
    return (file.filename or "image").encode("utf-8", "replace").decode()


class _Limited:
    """The body of a request; 413 for one that is longer than the limit."""

    def __init__(self, request: Request, most: int) -> None:
        self._receive, self._most, self._read = request.receive, most, 0
        self._stated = _stated_length(request, default=0)

    async def receive(self) -> Message:
        message = await self._receive()
        self._read += len(message.get("body", b""))
        if max(self._read, self._stated) > self._most:
            raise HTTPException(413, f"the body is longer than {counted(self._most, 'byte')}")
        return message
