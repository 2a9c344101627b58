# SPDX-License-Identifier: MIT
"""What uvicorn runs: `uvicorn demo.asgi:application`.

Django has no WebSockets of its own, and its ASGI handler reads a request's whole body before a view sees any of it.
The few paths in `demo.raw` therefore speak plain ASGI; every other request is Django's.
"""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'demo.settings_async')
django_application = get_asgi_application()

from demo import raw  # noqa: E402


async def application(scope, receive, send):
    """Hand the connection to the endpoint of its path, or to Django."""
    if scope['type'] == 'lifespan':
        await raw.lifespan(scope, receive, send)
        return
    endpoint = raw.ENDPOINTS.get((scope['type'], scope['path']))
    if endpoint is None and scope['type'] == 'websocket':
        endpoint = raw.refuse_websocket
    await (endpoint or django_application)(scope, receive, send)
