# SPDX-License-Identifier: MIT
"""The half under uvicorn: everything below /async/.

Only one middleware, for the redirect to the URL with a slash: each sync middleware would cost a change of thread.
"""

from demo.settings_base import *  # noqa: F403

ROOT_URLCONF = 'demo.async_urls'
ASGI_APPLICATION = 'demo.asgi.application'

MIDDLEWARE = ['django.middleware.common.CommonMiddleware']
