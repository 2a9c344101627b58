# SPDX-License-Identifier: MIT
"""The half under gunicorn with the mistakes that diplex's hints are about: nothing in it knows of a proxy, and one view
is of the wrong kind. `DJANGO_SECURE_SSL_REDIRECT=1` adds the redirect to https."""

import os

from demo.settings_sync import *  # noqa: F403
from demo.settings_sync import MIDDLEWARE

ROOT_URLCONF = 'demo.mistaken_urls'
MIDDLEWARE = [*MIDDLEWARE, 'django.middleware.csrf.CsrfViewMiddleware']
ALLOWED_HOSTS = ['localhost', 'api.localhost']

SECURE_PROXY_SSL_HEADER = None
USE_X_FORWARDED_HOST = False
SECURE_SSL_REDIRECT = os.environ.get('DJANGO_SECURE_SSL_REDIRECT') == '1'

LOGGING = {'version': 1, 'disable_existing_loggers': True}
