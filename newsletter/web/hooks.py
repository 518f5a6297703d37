"""``/hooks/PROVIDER``: what mail providers post of bounces and complaints; who may is the adapter's to check."""

from flask import Flask, Response, abort, request

from newsletter.web.desk import Desk, HookRequest


def register(app: Flask, desk: Desk) -> None:
    """Take what the providers in ``desk.hooks`` post; another name is no page."""

    def take(provider: str) -> Response:
        hook = desk.hooks.get(provider)
        if hook is None:
            abort(404)
        headers = {name.lower(): value for name, value in request.headers.items()}
        answer = hook(HookRequest(headers, request.get_data(cache=False), desk.clock()))
        return Response(answer.text, answer.status, content_type="text/plain; charset=utf-8")

    app.add_url_rule("/hooks/<provider>", "hook", take, methods=["POST"], provide_automatic_options=False)
