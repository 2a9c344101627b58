# SPDX-License-Identifier: MIT
"""One Django project that is run twice: sync views under gunicorn, async views under uvicorn."""
