"""``/healthz``: whether the store can be read, for whoever watches the server; it tells nothing of anybody."""

import json

from flask import Flask, Response

from newsletter.errors import StoreError
from newsletter.model import FORMAT
from newsletter.web.desk import Desk


def register(app: Flask, desk: Desk) -> None:
    """Answer 200 with ``{"status": "ok"}``, or 503 where the store cannot be read."""

    def look() -> Response:
        try:
            content = {
                "format": FORMAT,
                "status": "ok",
                "store": "ok",
                "letters_waiting": desk.store.outbox.count_mails(),
            }
            status = 200
        except StoreError:
            content, status = {"format": FORMAT, "status": "trouble", "store": "unavailable"}, 503
        return Response(json.dumps(content) + "\n", status, content_type="application/json")

    app.add_url_rule("/healthz", "healthz", look, methods=["GET"], provide_automatic_options=False)
