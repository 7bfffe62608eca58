"""The page of fashionai review: its address, images and decisions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Optional

import cv2
from fastapi import FastAPI, HTTPException, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from fashionai.datasets.corrections import Correction
from fashionai.errors import FashionAIError
from fashionai.inspection.images import TaskImages
from fashionai.pages import render
from fashionai.pipeline.decode import read_image
from fashionai.serving.decisions import Decisions
from fashionai.serving.local import new_application, new_token
from fashionai.serving.review_items import Item

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


def review_application(
    images: TaskImages, items: Sequence[Item], decisions: Decisions
) -> FastAPI:
    """The application of a review; ``items`` are shown in their order.

    An image is asked for by its position, so that no other file can be read.
    """
    token = new_token()
    application = new_application(token)
    item_of = {images.sources[item.image]: number for number, item in enumerate(items)}

    def shown(number: int) -> dict[str, Any]:
        item = items[number]
        return {
            **_image(images, item.image),
            "item": number,
            "reason": item.reason,
            "suggested": item.suggested,
            "label_probability": item.label_probability,
            "suggested_probability": item.suggested_probability,
            "similar": [_image(images, each) for each in item.similar],
            "examples": [_image(images, each) for each in item.examples],
            "decision": _decision(decisions.rows.get(images.sources[item.image])),
        }

    def progress() -> dict[str, Any]:
        undecided = [at for path, at in item_of.items() if path not in decisions.rows]
        return {"decided": len(items) - len(undecided), "next": min(undecided, default=None)}

    @application.get(f"/{token}/", response_class=HTMLResponse)
    def page() -> str:
        setup = {"count": len(items), "classes": images.task.labels, "page": PAGE, **progress()}
        return render(
            "review.html",
            title=f"Review of {images.task.short_name}",
            file=str(decisions.file),
            classes=images.task.labels,
            setup=setup,
        )

    @application.get(f"/{token}/items/{{page_number}}")
    def page_of_items(page_number: int) -> list[dict[str, Any]]:
        if not 0 <= page_number < math.ceil(len(items) / PAGE):
            raise HTTPException(404)
        start = page_number * PAGE
        return [shown(number) for number in range(start, min(start + PAGE, len(items)))]

    @application.get(f"/{token}/images/{{position}}")
    def image(position: int) -> Response:
        if not 0 <= position < len(images.paths):
            raise HTTPException(404)
        pixels = read_image(images.paths[position], SHORT_SIDE)
        _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        return Response(data.tobytes(), media_type="image/jpeg")

    @application.post(f"/{token}/decisions")
    def decide(decision: Decision) -> dict[str, Any]:
        if not 0 <= decision.item < len(items):
            raise HTTPException(404)
        item = items[decision.item]
        source, label = images.sources[item.image], images.labels[item.image]
        try:
            decisions.decide(source, label, decision.action, decision.new_label, item.reason)
        except (FashionAIError, OSError) as error:
            raise HTTPException(400, str(error)) from None
        return {"item": shown(decision.item), **progress()}

    @application.post(f"/{token}/undo")
    def undo() -> dict[str, Any]:
        path = decisions.undo()
        return {"item": None if path is None else shown(item_of[path]), **progress()}

    return application


def _image(images: TaskImages, position: int) -> dict[str, Any]:
    return {
        "image": position,
        "path": images.sources[position],
        "split": images.splits[position],
        "label": images.labels[position],
    }


def _decision(row: Optional[Correction]) -> Optional[dict[str, str]]:
    return None if row is None else {"action": row.action, "new_label": row.new_label}
