# SPDX-License-Identifier: MIT
"""URLs of the async half, served by uvicorn, all below the prefix that the proxy routes by."""

from dmr.plugins.msgspec import MsgspecSerializer
from dmr.routing import Router, build_404_handler, path

from demo import async_views as views

router = Router(
    'async/',
    [
        path('', views.IndexController.as_view(), name='index'),
        path('hello/', views.HelloController.as_view(), name='hello'),
        path('items/', views.ItemsController.as_view(), name='items'),
        path('slow/<int:milliseconds>/', views.SlowController.as_view(), name='slow'),
        path('events/', views.EventsController.as_view(), name='events'),
        path('lines/', views.LinesController.as_view(), name='lines'),
        path('streams/', views.StreamsController.as_view(), name='streams'),
        path('healthz/', views.HealthController.as_view(), name='healthz'),
        path('limited/', views.LimitedController.as_view(), name='limited'),
        path('upload/', views.upload, name='upload'),
        path('download/<int:size>/', views.download, name='download'),
        path('echo/', views.echo, name='echo'),
        path('status/<int:code>/', views.status, name='status'),
    ],
)

urlpatterns = [router.to_urlpatterns()]

handler404 = build_404_handler('async/', serializer=MsgspecSerializer)
