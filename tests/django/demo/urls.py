# SPDX-License-Identifier: MIT
"""URLs of the sync half, served by gunicorn."""

from django.urls import path as django_path
from dmr.plugins.msgspec import MsgspecSerializer
from dmr.routing import Router, build_404_handler, path

from demo import sync_views as views

router = Router(
    'api/',
    [
        path('hello/', views.HelloController.as_view(), name='hello'),
        path('items/', views.ItemsController.as_view(), name='items'),
        path('items/<int:item_id>/', views.ItemController.as_view(), name='item'),
        path('slow/<int:milliseconds>/', views.SlowController.as_view(), name='slow'),
        path('limited/', views.LimitedController.as_view(), name='limited'),
        path('upload/', views.upload, name='upload'),
        path('download/<int:size>/', views.download, name='download'),
        path('echo/', views.echo, name='echo'),
        path('status/<int:code>/', views.status, name='status'),
        path('hints/', views.hints, name='hints'),
    ],
)

urlpatterns = [
    router.to_urlpatterns(),
    django_path('healthz/', views.HealthController.as_view(), name='healthz'),
    django_path('', views.home, name='home'),
]

handler404 = build_404_handler('api/', serializer=MsgspecSerializer)
