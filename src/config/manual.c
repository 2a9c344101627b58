/* SPDX-License-Identifier: MIT */
/* docs/configuration.md, from the table; only the introduction and the rules of routing are written here. */
#include "config/table.h"

static const char introduction[] =
    "# Configuration\n"
    "\n"
    "<!-- Generated from src/config/settings.def by `diplex manual`; a test compares. -->\n"
    "\n"
    "diplex reads one YAML file: the one named by `-c`, else `./diplex.yaml`, else "
    "`/etc/diplex/diplex.yaml`. Without any\n"
    "file it listens on `:8080`, sends `/async/` to an asgi server on `127.0.0.1:8001` and everything else "
    "to a wsgi server on\n"
    "`127.0.0.1:8000`. `diplex check` reads a file, tells every fault in it at once with file, line and "
    "column, and prints the\n"
    "configuration in force with the reason for each value.\n"
    "\n"
    "The smallest file:\n"
    "\n"
    "```yaml\n"
    "routes:\n"
    "  /async/: asgi://127.0.0.1:8001\n"
    "  /: wsgi://127.0.0.1:8000\n"
    "```\n"
    "\n"
    "A typical one:\n"
    "\n"
    "```yaml\n"
    "listen: ${DIPLEX_LISTEN:-:8080}\n"
    "pools:\n"
    "  sync:\n"
    "    kind: wsgi\n"
    "    servers: [web:8000]\n"
    "    health: /healthz/\n"
    "  async:\n"
    "    kind: asgi\n"
    "    servers: [web-async:8001]\n"
    "    health: /async/healthz/\n"
    "routes:\n"
    "  /async/: async\n"
    "  /: sync\n"
    "```\n"
    "\n"
    "## How things are written\n"
    "\n"
    "**Short and long.** Most things have one short and one long form. These say the same:\n"
    "\n"
    "```yaml\n"
    "health: /healthz/\n"
    "health: {path: /healthz/}\n"
    "\n"
    "servers: web:8000\n"
    "servers: [{address: web:8000, weight: 1}]\n"
    "\n"
    "routes: {/async/: async}\n"
    "routes: [{path: /async/, pool: async}]\n"
    "```\n"
    "\n"
    "**Durations** have a unit: `500ms`, `10s`, `5m`, `1h`, `2d`, `1m30s`. **Sizes** are powers of 1024: "
    "`512`, `64KB`, `100MB`,\n"
    "`1GB`. **Every value is a text** until its key says what it is, quoted or not: `on`, `0660` and `80:80` "
    "never become\n"
    "something else on the way. A key without a value, or with `null`, is an error: leave the key out for "
    "its default.\n"
    "\n"
    "**Variables** of the environment may stand in every value, never in a key:\n"
    "\n"
    "| written | becomes |\n"
    "|---|---|\n"
    "| `${NAME}` | the variable's value; an error when it is not set |\n"
    "| `${NAME:-default}` | `default` when it is not set or empty |\n"
    "| `${NAME-default}` | `default` when it is not set |\n"
    "| `${NAME:?message}` | an error with this message when it is not set or empty |\n"
    "| `${NAME?message}` | an error with this message when it is not set |\n"
    "| `$$` | a dollar sign |\n"
    "\n"
    "Inside `[ ]` and `{ }` YAML itself wants such a text in quotes: `servers: [\"${SERVER}\"]`. A default "
    "may hold variables.\n"
    "\n"
    "**Anchors** (`&name`, `*name`), merge keys (`<<: *name`) and keys that begin with `x-` work as in "
    "compose files:\n"
    "\n"
    "```yaml\n"
    "x-django: &django\n"
    "  balance: least_conn\n"
    "  timeouts: {response: 2m}\n"
    "pools:\n"
    "  sync: {<<: *django, kind: wsgi, servers: web:8000}\n"
    "  async: {<<: *django, kind: asgi, servers: web-async:8001}\n"
    "```\n"
    "\n"
    "**Mistakes** are never passed over: an unknown key, a wrong type, a value out of bounds, a key or a "
    "prefix twice, a route to\n"
    "no pool, a variable that is not set.\n"
    "\n"
    "```\n"
    "diplex.yaml:9:12: error: no pool 'asinc'; did you mean 'async'?\n"
    "      /async/: asinc\n"
    "               ^\n"
    "```\n"
    "\n"
    "## How a route is found\n"
    "\n"
    "- The longest prefix wins; the order in the file never matters.\n"
    "- A prefix matches whole segments: `/async/` and `/async` are the same prefix, which matches `/async`, "
    "`/async/` and\n"
    "  `/async/items/` and does not match `/asyncx`.\n"
    "- A key with a host in front (`example.com/api/`, or `host:` in the list form) is for that host alone, "
    "and is looked at\n"
    "  before those without. `*.example.com` is every name below it; as a key it must be quoted, since YAML "
    "reads `*` as an\n"
    "  alias.\n"
    "- Matching looks at the path decoded from its `%` escapes and with `.` and `..` resolved. So a prefix "
    "is written decoded:\n"
    "  `/caf\xc3\xa9/`, not `/caf%C3%A9/`.\n"
    "- The request goes on as it came, with its prefix: Django's URLconf contains it.\n"
    "- What no route matches is answered with 404 by diplex itself.\n"
    "- In place of a pool's name a route may have the URL of one server. Its scheme is the kind: "
    "`wsgi://web:8000`,\n"
    "  `asgi://[::1]:8001`, `wsgi://unix:/run/web.sock` or `wsgi+unix:///run/web.sock`. Routes with the same "
    "URL share one pool,\n"
    "  which has the URL as its name; settings may be given to it under that name in `pools`.\n";

static void add_bounds(struct dx_text *out, const struct dx_config_setting *s)
{
    char a[32], b[32];
    if (s->max == 0)
        return;
    dx_text_addf(out, ", %s to %s", dx_config_setting_number(s, s->min, a),
                 dx_config_setting_number(s, s->max, b));
}

static void add_type(struct dx_text *out, const struct dx_config_setting *s)
{
    struct dx_slice rest = dx_slice_str(s->words), word;
    if (!s->words) {
        dx_text_adds(out, dx_config_type_name(s->type));
        add_bounds(out, s);
        return;
    }
    for (bool first = true; dx_config_next_word(&rest, &word); first = false)
        dx_text_addf(out, "%s`%.*s`", first ? "" : ", ", DX_SLICE_ARGS(word));
}

static void add_default(struct dx_text *out, const struct dx_config_setting *s)
{
    struct dx_slice wsgi = dx_config_setting_fallback(s, DX_KIND_WSGI),
                    asgi = dx_config_setting_fallback(s, DX_KIND_ASGI);
    if (s->why == dx_config_required)
        dx_text_adds(out, "required");
    else if (s->fallback && !dx_slice_eq(wsgi, asgi))
        dx_text_addf(out, "wsgi `%.*s`, asgi `%.*s` (%s)", DX_SLICE_ARGS(wsgi), DX_SLICE_ARGS(asgi), s->why);
    else if (s->fallback)
        dx_text_addf(out, "`%s`", s->fallback);
    else
        dx_text_adds(out, s->why ? s->why : s->nested != SCOPE_COUNT ? "see below" : "none");
}

static void add_scope(struct dx_text *out, enum dx_config_scope scope)
{
    dx_text_addf(out, "\n### %s\n\n%s\n\n| key | value | default | |\n|---|---|---|---|\n",
                 dx_config_scopes[scope].heading, dx_config_scopes[scope].sentence);
    for (size_t i = 0; i < dx_config_settings_n; i++) {
        const struct dx_config_setting *s = &dx_config_settings[i];
        if (s->scope != scope)
            continue;
        dx_text_addf(out, "| `%s` | ", s->key);
        add_type(out, s);
        dx_text_adds(out, " | ");
        add_default(out, s);
        dx_text_addf(out, " | %s |\n", s->sentence);
    }
}

void dx_config_manual(struct dx_text *out)
{
    dx_text_adds(out, introduction);
    dx_text_adds(out, "\n## Every key\n");
    for (unsigned scope = 0; scope < SCOPE_COUNT; scope++)
        add_scope(out, (enum dx_config_scope)scope);
}
