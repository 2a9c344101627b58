# SPDX-License-Identifier: MIT
"""The half under gunicorn: everything outside /async/."""

from demo.settings_base import *  # noqa: F403

ROOT_URLCONF = 'demo.urls'
WSGI_APPLICATION = 'demo.wsgi.application'

MIDDLEWARE = [
    'django.middleware.security.SecurityMiddleware',
    'django.middleware.http.ConditionalGetMiddleware',
    'django.middleware.common.CommonMiddleware',
]
