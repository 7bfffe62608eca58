"""The server's application: a page, and a JSON API with its OpenAPI description."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Collection
from typing import Any, Optional

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

import fashionai
from fashionai.errors import TrainingError, counted
from fashionai.pages import render
from fashionai.serving.answers import Health, Model, Predictions, Problem
from fashionai.serving.gate import Gate
from fashionai.serving.metrics import CONTENT_TYPE
from fashionai.serving.own_names import OwnNames
from fashionai.serving.service import Service
from fashionai.serving.uploads import FORM, body_length, read_images

log = logging.getLogger(__name__)

PATHS = ("/", "/predict", "/model", "/health", "/metrics", "/openapi.json")
RETRY = {"Retry-After": "1"}

# The body of POST /predict, which is read within the limits instead of by FastAPI.
IMAGES_BODY = {
    "required": True,
    "content": {
        FORM: {
            "schema": {
                "type": "object",
                "required": ["images"],
                "properties": {
                    "images": {"type": "array", "items": {"type": "string", "format": "binary"}}
                },
            }
        }
    },
}
PROBLEMS = {
    400: "The form is damaged",
    413: "A body, an image or a number of images that is too large",
    415: "Not a form with files, or a file that is no image",
    422: "No images, a damaged image, or a wrong parameter",
    500: "The network does not compute",
    503: "Too many images or bytes wait, an answer takes too long, or the server stops; "
    "try again later",
}
UNAUTHORIZED = {401: {"model": Problem, "description": "The token is missing or wrong"}}


def create_app(
    service: Service, token: str = "", names: Optional[Collection[str]] = None
) -> FastAPI:
    """The application for a service.

    With a ``token`` all but the page and /health ask for it (``Authorization: Bearer TOKEN``).
    Requests that state another host than ``names`` are refused, see OwnNames.
    """
    app = FastAPI(
        title="fashionai serve",
        version=fashionai.__version__,
        # FastAPI's own pages load scripts from other addresses.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.service = service
    app.add_exception_handler(RequestValidationError, _wrong_parameter)
    app.add_exception_handler(TrainingError, _wrong_network)
    guards = [Depends(_token_check(token))] if token else []
    guarded: dict[str, Any] = {"dependencies": guards, "responses": UNAUTHORIZED if token else {}}
    _add_public(app)
    _add_guarded(app, guarded)
    app.add_middleware(OwnNames, names=names)
    app.add_middleware(Gate, paths=PATHS, metrics=service.metrics)
    return app


def _add_public(app: FastAPI) -> None:
    service: Service = app.state.service

    @app.get("/", response_class=HTMLResponse, summary="A page to try the model")
    def page() -> str:
        return render("serve.html", title="Classify images")

    stopping: dict[Any, dict[str, Any]] = {
        503: {"model": Health, "description": "The server stops"}
    }

    @app.get("/health", summary="Whether the server takes images", responses=stopping)
    def health() -> Health:
        if service.stopping:
            return JSONResponse({"status": "stopping"}, 503, RETRY)  # type: ignore[return-value]
        return Health(status="ok")


def _add_guarded(app: FastAPI, guarded: dict[str, Any]) -> None:
    service: Service = app.state.service

    @app.get("/model", summary="The classes, and what is accepted", **guarded)
    def model() -> Model:
        return Model.model_validate(service.description())

    @app.get("/metrics", summary="Counts for Prometheus", response_class=Response, **guarded)
    def metrics() -> Response:
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)

    problems: dict[Any, dict[str, Any]] = {
        code: {"model": Problem, "description": text} for code, text in PROBLEMS.items()
    }

    @app.post(
        "/predict",
        summary="The classes of images",
        response_model=Predictions,
        dependencies=guarded["dependencies"],
        responses={**problems, **guarded["responses"]},
        openapi_extra={"requestBody": IMAGES_BODY},
    )
    async def predict(
        request: Request,
        top: Optional[int] = Query(None, ge=1, le=100_000, description="Classes; all by default"),
    ) -> Response:
        """Send images as files of a form, under any name.

        Each has an answer: its classes, the most probable first, or an error with a status code of
        its own. The status is 200 if at least one image was classified, else that of the first.
        """
        length = body_length(request, service.limits.request_bytes)
        _check_room(service, 1, length)
        try:
            with service.holding(length):
                answer = _predict(service, request, top)
                return await asyncio.wait_for(answer, service.limits.seconds)
        except asyncio.TimeoutError:
            seconds = f"{service.limits.seconds:g} s"
            raise HTTPException(503, f"not answered within {seconds}", RETRY) from None


async def _predict(service: Service, request: Request, top: Optional[int]) -> Response:
    images = await read_images(request, service.limits)
    _check_room(service, len(images))
    answers = await service.answers(images, top)
    errors = [each["error"] for each in answers if "error" in each]
    if len(errors) < len(answers):
        return JSONResponse({"images": answers})
    content = {"detail": errors[0]["detail"], "images": answers}
    return JSONResponse(content, errors[0]["status"])


def _check_room(service: Service, images: int, length: int = 0) -> None:
    """HTTPException 503 while the server stops, and where too many images or bytes would wait."""
    if service.stopping:
        raise HTTPException(503, "the server stops", RETRY)
    if service.waiting + images > service.limits.queue:
        raise HTTPException(503, f"{counted(service.waiting, 'image')} waiting already", RETRY)
    if service.waiting_bytes + length > service.limits.waiting_bytes:
        found = counted(service.waiting_bytes, "byte")
        raise HTTPException(503, f"{found} waiting already", RETRY)


def _token_check(token: str) -> Callable[..., None]:
    """A dependency that asks for the token, and says so in the OpenAPI description."""
    bearer = Security(HTTPBearer(scheme_name="Token", auto_error=False))

    def check(given: Optional[HTTPAuthorizationCredentials] = bearer) -> None:
        found = "" if given is None else given.credentials
        if not secrets.compare_digest(found.encode(), token.encode()):
            challenge = {"WWW-Authenticate": "Bearer"}
            raise HTTPException(401, "the token is missing or wrong", challenge)

    return check


def _wrong_parameter(request: Request, error: Exception) -> Response:
    """The first error of a parameter, as a text like all other problems."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = ".".join(map(str, first["loc"][1:]))
    return JSONResponse({"detail": f"{name}: {first['msg']}"}, 422)


def _wrong_network(request: Request, error: Exception) -> Response:
    log.error("%s", error)
    return JSONResponse({"detail": "the network does not compute"}, 500)
