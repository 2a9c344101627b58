/* SPDX-License-Identifier: MIT */
/* What is in force without any file: a text like any other. config/diplex.yaml says the same at length. */
#include "diplex/config.h"

struct dx_slice dx_config_builtin_text(void)
{
    return DX_SLICE("listen: ':8080'\n"
                    "pools:\n"
                    "  sync:\n"
                    "    kind: wsgi\n"
                    "    servers: 127.0.0.1:8000\n"
                    "  async:\n"
                    "    kind: asgi\n"
                    "    servers: 127.0.0.1:8001\n"
                    "routes:\n"
                    "  /async/: async\n"
                    "  /: sync\n");
}
