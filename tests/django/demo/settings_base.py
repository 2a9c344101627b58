# SPDX-License-Identifier: MIT
"""Settings that both halves of the project share.

`settings_sync` and `settings_async` add what differs: the URLconf and the middleware. A project of your own keeps
its database, templates and applications here and changes nothing else.
"""

import os

SECRET_KEY = os.environ.get('DJANGO_SECRET_KEY', 'only-for-this-demonstration-never-for-a-real-site')
DEBUG = False
ALLOWED_HOSTS = os.environ.get(
    'DJANGO_ALLOWED_HOSTS', 'localhost,127.0.0.1,[::1],testserver,web,web-async,diplex'
).split(',')

# The proxy says what the client asked for. diplex overwrites these fields, so a client cannot forge them.
SECURE_PROXY_SSL_HEADER = ('HTTP_X_FORWARDED_PROTO', 'https')
USE_X_FORWARDED_HOST = True

INSTALLED_APPS = ['dmr', 'demo']
DATABASES = {}
USE_TZ = True
DEFAULT_CHARSET = 'utf-8'

TEMPLATES = [
    {'BACKEND': 'django.template.backends.django.DjangoTemplates', 'APP_DIRS': True},
]

LOGGING = {
    'version': 1,
    'disable_existing_loggers': False,
    'handlers': {'stderr': {'class': 'logging.StreamHandler'}},
    'root': {'handlers': ['stderr'], 'level': 'WARNING'},
    # The tests ask for refused and missing pages on purpose; the proxy's access log tells of them already.
    'loggers': {'django.request': {'level': 'ERROR'}},
}
