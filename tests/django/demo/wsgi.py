# SPDX-License-Identifier: MIT
"""What gunicorn runs: `gunicorn demo.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'demo.settings_sync')
application = get_wsgi_application()
