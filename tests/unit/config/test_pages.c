/* SPDX-License-Identifier: MIT */
/* `error_pages` and `maintenance`: which file stands for what, what a route takes over, and the files' texts
 * on their way. */
#include <unistd.h>

#include "support.h"

#define POOL "pools: {app: 'wsgi://w:1'}\n"

static const char *path_of(const struct dx_config *c, const struct dx_page_uses *uses, unsigned i)
{
    ck_assert_uint_lt(i, uses->n);
    ck_assert_uint_lt(uses->at[i].file, c->page_files_n);
    return c->page_files[uses->at[i].file].path;
}

static void is_for(const struct dx_page_uses *uses, unsigned i, unsigned from, unsigned to)
{
    ck_assert_uint_lt(i, uses->n);
    ck_assert_uint_eq(uses->at[i].from, from);
    ck_assert_uint_eq(uses->at[i].to, to);
}

START_TEST(statuses_classes_and_forms)
{
    struct dx_config *c = must_parse(POOL "routes: {/: app}\nerror_pages:\n  404: /p/404.html\n  5XX: "
                                          "[/p/5.json, /p/5.txt, /p/5.htm]\n  '413': /p/5.txt\n");
    const struct dx_page_uses *uses = &c->error_pages;
    ck_assert_uint_eq(uses->n, 5);
    is_for(uses, 0, 404, 404);
    for (unsigned i = 1; i <= 3; i++)
        is_for(uses, i, 500, 599);
    is_for(uses, 4, 413, 413);
    ck_assert_uint_eq(c->page_files_n, 4); /* what is named twice is there once */
    ck_assert_str_eq(path_of(c, uses, 0), "/p/404.html");
    ck_assert_str_eq(path_of(c, uses, 4), "/p/5.txt");
    static const enum dx_page_form forms[] = {DX_PAGE_HTML, DX_PAGE_JSON, DX_PAGE_TEXT, DX_PAGE_HTML};
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(c->page_files[i].form, forms[i]);
        ck_assert_uint_eq(c->page_files[i].text.n, 0); /* nobody has read it yet */
    }
    ck_assert_uint_eq(c->page_files[0].line, 4);
    ck_assert_uint_eq(c->page_files[0].column, 8);
    dx_config_free(&c);
}
END_TEST

/* A route's pages come beside those of the top level, not in their place. */
START_TEST(pages_of_a_route)
{
    struct dx_config *c =
        must_parse(POOL "error_pages: {404: /a.html}\nroutes:\n  /: app\n"
                        "  /shop/: {pool: app, error_pages: {404: /b.html, 4xx: /a.html}}\n");
    ck_assert_uint_eq(c->error_pages.n, 1);
    const struct dx_route_config *shop = c->routes[0].error_pages.n ? &c->routes[0] : &c->routes[1];
    const struct dx_route_config *other = shop == &c->routes[0] ? &c->routes[1] : &c->routes[0];
    ck_assert_uint_eq(shop->error_pages.n, 2);
    ck_assert_uint_eq(other->error_pages.n, 0);
    ck_assert_str_eq(path_of(c, &shop->error_pages, 0), "/b.html");
    ck_assert_str_eq(path_of(c, &shop->error_pages, 1), "/a.html");
    ck_assert_uint_eq(c->page_files_n, 2);
    dx_config_free(&c);
}
END_TEST

START_TEST(maintenance_is_off_and_has_defaults)
{
    struct dx_config *c = must_parse(POOL "routes: {/: app}\n");
    ck_assert(!c->maintenance.on && !c->routes[0].maintenance.on);
    ck_assert_uint_eq(c->maintenance.status, 503);
    ck_assert_uint_eq(c->maintenance.retry_after, 120000);
    ck_assert_uint_eq(c->maintenance.pages.n, 0);
    ck_assert_uint_eq(c->maintenance.allow.n, 0);
    ck_assert_uint_eq(c->page_files_n, 0);
    dx_config_free(&c);
    c = must_parse(POOL
                   "routes: {/: app}\nmaintenance: /m.html\n"); /* the short form does not switch it on */
    ck_assert(!c->maintenance.on);
    is_for(&c->maintenance.pages, 0, 0, 0);
    ck_assert_str_eq(path_of(c, &c->maintenance.pages, 0), "/m.html");
    ck_assert_str_eq(path_of(c, &c->routes[0].maintenance.pages, 0), "/m.html");
    dx_config_free(&c);
}
END_TEST

/* Wherever `maintenance` stands in the file: what a route does not say is as at the top level. */
START_TEST(a_route_says_only_what_differs)
{
    struct dx_config *c = must_parse(
        POOL
        "routes:\n  /: {pool: app, maintenance: {on: no}}\n"
        "maintenance: {on: yes, file: /m.html, status: 500, retry_after: 0, allow: [10.0.0.0/8, unix]}\n");
    const struct dx_maintenance_config *m = &c->routes[0].maintenance;
    ck_assert(c->maintenance.on && !m->on);
    ck_assert_uint_eq(m->status, 500);
    ck_assert_uint_eq(m->retry_after, 0);
    ck_assert_str_eq(path_of(c, &m->pages, 0), "/m.html");
    ck_assert(dx_config_networks_have(&m->allow, DX_SLICE("10.1.2.3")));
    dx_config_free(&c);
    c = must_parse(POOL "maintenance: {file: /m.html, retry_after: 5m}\nroutes:\n"
                        "  /: {pool: app, maintenance: {on: yes, status: 404, file: [/a.txt, /a.json]}}\n");
    m = &c->routes[0].maintenance;
    ck_assert(!c->maintenance.on && m->on);
    ck_assert_uint_eq(m->status, 404);
    ck_assert_uint_eq(m->retry_after, 300000);
    ck_assert_uint_eq(m->pages.n, 2);
    ck_assert_str_eq(path_of(c, &m->pages, 1), "/a.json");
    dx_config_free(&c);
}
END_TEST

START_TEST(who_passes)
{
    struct dx_config *c =
        must_parse(POOL "routes: {/: app}\nmaintenance: {allow: [192.0.2.0/24, '2001:db8::/32']}\n");
    const struct dx_networks *allow = &c->maintenance.allow;
    ck_assert(dx_config_networks_have(allow, DX_SLICE("192.0.2.255")));
    ck_assert(dx_config_networks_have(allow, DX_SLICE("2001:db8::1")));
    ck_assert(!dx_config_networks_have(allow, DX_SLICE("192.0.3.0")));
    ck_assert(!dx_config_networks_have(allow, DX_SLICE("unix")));
    ck_assert(!dx_config_networks_have(allow, DX_SLICE("")));
    dx_config_free(&c);
    c = must_parse(POOL "routes: {/: app}\nmaintenance: {allow: unix}\n");
    ck_assert(dx_config_networks_have(&c->maintenance.allow, DX_SLICE("unix")));
    ck_assert(!dx_config_networks_have(&c->maintenance.allow, DX_SLICE("127.0.0.1")));
    dx_config_free(&c);
}
END_TEST

START_TEST(no_more_than_there_is_room_for)
{
    for (unsigned files = DX_PAGE_FILES_MAX; files <= DX_PAGE_FILES_MAX + 1; files++) {
        struct dx_config_faults faults = {0};
        struct dx_text text;
        dx_text_init(&text);
        dx_text_adds(&text, POOL "routes: {/: app}\nerror_pages:\n");
        for (unsigned i = 0; i < files; i++)
            dx_text_addf(&text, "  %u: /%u.html\n", 400 + i, i);
        struct dx_config *c = dx_config_parse(dx_slice_of(text.p, text.n), "f", test_env, NULL, &faults);
        ck_assert_int_eq(c != NULL, files == DX_PAGE_FILES_MAX);
        ck_assert_uint_eq(faults.n, files - DX_PAGE_FILES_MAX);
        dx_config_free(&c);
        dx_config_faults_fini(&faults);
        dx_text_fini(&text);
    }
}
END_TEST

/* Read by control, taken by data, and by nobody whose configuration is another one. */
START_TEST(texts_go_from_one_model_to_another)
{
    char folder[] = "/tmp/pages-XXXXXX", config[200], path[2][64];
    static const char *const words[] = {"<p>one</p>", "two"};
    struct dx_config_faults faults = {0};
    struct dx_text text;
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (unsigned i = 0; i < 2; i++) {
        (void)snprintf(path[i], sizeof path[i], "%s/%u.txt", folder, i);
        FILE *f = fopen(path[i], "w");
        ck_assert(f && fputs(words[i], f) >= 0 && fclose(f) == 0);
    }
    (void)snprintf(config, sizeof config, POOL "routes: {/: app}\nerror_pages: {404: %s, 503: %s}\n", path[0],
                   path[1]);
    struct dx_config *control = must_parse(config), *data = must_parse(config),
                     *other = must_parse(POOL "routes: {/: app}\n");
    ck_assert(dx_config_pages_read(control, &faults));
    dx_text_init(&text);
    dx_config_pages_write(control, &text);
    struct dx_slice all = dx_slice_of(text.p, text.n);
    ck_assert(!dx_config_pages_take(other, all));
    for (size_t n = 0; n < all.n; n++)
        ck_assert(!dx_config_pages_take(data, dx_slice_of(all.p, n)));
    ck_assert(dx_config_pages_take(data, all));
    for (unsigned i = 0; i < 2; i++)
        ck_assert(dx_slice_eq(data->page_files[i].text, dx_slice_str(words[i])));
    ck_assert_int_eq(unlink(path[1]), 0);
    dx_config_free(&control);
    control = must_parse(config);
    ck_assert(!dx_config_pages_read(control, &faults));
    ck_assert_uint_eq(faults.n, 1);
    dx_config_faults_fini(&faults);
    dx_config_free(&control);
    dx_config_free(&data);
    dx_config_free(&other);
    dx_text_fini(&text);
    ck_assert(unlink(path[0]) == 0 && rmdir(folder) == 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("config pages");
    TCase *tc = tcase_create("pages");
    tcase_add_test(tc, statuses_classes_and_forms);
    tcase_add_test(tc, pages_of_a_route);
    tcase_add_test(tc, maintenance_is_off_and_has_defaults);
    tcase_add_test(tc, a_route_says_only_what_differs);
    tcase_add_test(tc, who_passes);
    tcase_add_test(tc, no_more_than_there_is_room_for);
    tcase_add_test(tc, texts_go_from_one_model_to_another);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
