"""The page of fashionai review: its address, images and decisions."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
from fastapi import FastAPI, HTTPException, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from fashionai.errors import FashionAIError
from fashionai.inspection.images import TaskImages
from fashionai.pages import render
from fashionai.pipeline.decode import read_image
from fashionai.reviewing.decisions import Decisions
from fashionai.reviewing.items import Item
from fashionai.serving.listening import LOOPBACK_NAMES
from fashionai.serving.own_names import OwnNames

# Items per answer, and per page of the grid.
PAGE = 24
# The short side of images in pixels: enough for a screen, and a JPEG is decoded faster.
SHORT_SIDE = 512
_QUALITY = 90


class Decision(BaseModel):
    """What the page sends when a key decides about an item."""

    item: int
    action: str
    new_label: str = ""


class Review:
    """What the page asks for.

    Args:
        images: The images of the task. One is asked for by its position, so that no other file can
            be read.
        items: What is shown, in this order.
        decisions: Where decisions are saved.
    """

    def __init__(self, images: TaskImages, items: Sequence[Item], decisions: Decisions) -> None:
        self._images, self._items, self._decisions = images, items, decisions
        self._item_of = {images.sources[item.image]: at for at, item in enumerate(items)}

    def page(self) -> HTMLResponse:
        """The page itself."""
        text = render(
            "review.html",
            title=f"Review of {self._images.task.short_name}",
            file=str(self._decisions.file),
            setup={
                "count": len(self._items),
                "page": PAGE,
                "classes": self._images.task.labels,
                **self._progress(),
            },
        )
        return HTMLResponse(text)

    def items(self, number: int) -> list[dict[str, Any]]:
        """PAGE consecutive items, or fewer at the end."""
        if not 0 <= number < math.ceil(len(self._items) / PAGE):
            raise HTTPException(404)
        start = number * PAGE
        return [self._shown(at) for at in range(start, min(start + PAGE, len(self._items)))]

    def image(self, position: int) -> Response:
        """The image at this position in the manifest, as a JPEG."""
        if not 0 <= position < len(self._images.paths):
            raise HTTPException(404)
        try:
            pixels = read_image(self._images.paths[position], SHORT_SIDE)
        except FashionAIError as error:  # changed since the start of the review
            raise HTTPException(404, str(error)) from None
        _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        return Response(data.tobytes(), media_type="image/jpeg")

    def decide(self, decision: Decision) -> dict[str, Any]:
        """Save a decision; the item as it is then, and the progress."""
        if not 0 <= decision.item < len(self._items):
            raise HTTPException(404)
        item = self._items[decision.item]
        source, label = self._images.sources[item.image], self._images.labels[item.image]
        with _errors_as_answers():
            self._decisions.decide(source, label, decision.action, decision.new_label, item.reason)
        return {"item": self._shown(decision.item), **self._progress()}

    def undo(self) -> dict[str, Any]:
        """Take the last decision back; its item, null without any, and the progress."""
        with _errors_as_answers():
            path = self._decisions.undo()
        item = None if path is None else self._shown(self._item_of[path])
        return {"item": item, **self._progress()}

    def _shown(self, at: int) -> dict[str, Any]:
        item = self._items[at]
        row = self._decisions.rows.get(self._images.sources[item.image])
        return {
            **self._described(item.image),
            "item": at,
            "reason": item.reason,
            "suggested": item.suggested,
            "label_probability": item.label_probability,
            "suggested_probability": item.suggested_probability,
            "similar": [self._described(each) for each in item.similar],
            "examples": [self._described(each) for each in item.examples],
            "decision": row and {"action": row.action, "new_label": row.new_label},
        }

    def _described(self, position: int) -> dict[str, Any]:
        images = self._images
        return {
            "image": position,
            "path": images.sources[position],
            "split": images.splits[position],
            "label": images.labels[position],
        }

    def _progress(self) -> dict[str, Any]:
        """How many items are decided, and the first that is not."""
        rows = self._decisions.rows
        undecided = [at for path, at in self._item_of.items() if path not in rows]
        decided = len(self._items) - len(undecided)
        return {"decided": decided, "next": min(undecided, default=None)}


@contextlib.contextmanager
def _errors_as_answers() -> Iterator[None]:
    """The page shows the reason why a decision cannot be saved, such as a full disk."""
    try:
        yield
    except (FashionAIError, OSError) as error:
        raise HTTPException(400, str(error)) from None


def create_app(review: Review, token: str) -> FastAPI:
    """The application that answers the page of a review, and this machine alone.

    Its paths begin with ``/<token>/``, which other users of the machine and pages of other sites do
    not know; all other paths are not found.
    """
    application = FastAPI(openapi_url=None)
    application.add_middleware(OwnNames, names=LOOPBACK_NAMES)
    for path, method, answer in (
        ("", "GET", review.page),
        ("items/{number}", "GET", review.items),
        ("images/{position}", "GET", review.image),
        ("decisions", "POST", review.decide),
        ("undo", "POST", review.undo),
    ):
        application.add_api_route(f"/{token}/{path}", answer, methods=[method], response_model=None)
    return application
