/* SPDX-License-Identifier: MIT */
/* docs/life-of-a-request.md, docs/errors.md and docs/logs.md show the tables of states, outcomes, pages and
 * keys as they are in the code, between marks. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "diplex/base/text.h"
#include "diplex/os/fd.h"
#include "diplex/proxy.h"

#define LIFE    DIPLEX_SOURCE_DIR "/docs/life-of-a-request.md"
#define ERRORS  DIPLEX_SOURCE_DIR "/docs/errors.md"
#define LOGS    DIPLEX_SOURCE_DIR "/docs/logs.md"
#define DOC_MAX (1024u * 1024)

static char *doc;
static struct dx_text table;

static void setup(void) { dx_text_init(&table); }

static void teardown(void)
{
    dx_text_fini(&table);
    free(doc);
}

/* What stands between `<!-- name -->` and `<!-- /name -->`, without the empty lines around it. */
static struct dx_slice between(const char *file, const char *name)
{
    char open[64], close[64];
    size_t n;
    ck_assert_msg(dx_fd_read_file(file, DOC_MAX, &doc, &n), "cannot read %s", file);
    (void)snprintf(open, sizeof(open), "<!-- %s -->\n", name);
    (void)snprintf(close, sizeof(close), "<!-- /%s -->", name);
    const char *from = strstr(doc, open);
    ck_assert_msg(from != NULL, "no %s in %s", open, file);
    from += strlen(open);
    const char *to = strstr(from, close);
    ck_assert_msg(to != NULL, "no %s in %s", close, file);
    while (from < to && *from == '\n')
        from++;
    while (to > from + 1 && to[-1] == '\n' && to[-2] == '\n')
        to--;
    return dx_slice_of(from, (size_t)(to - from));
}

static void expect(const char *file, const char *name)
{
    struct dx_slice written = between(file, name), made = dx_slice_of(table.p, table.n);
    ck_assert(!table.failed);
    if (dx_slice_eq(written, made))
        return;
    (void)fprintf(stderr, "between <!-- %s --> and <!-- /%s --> there should be:\n%s", name, name, table.p);
    ck_abort_msg("%s differs from the table of %s in src/proxy", file, name);
}

START_TEST(states)
{
    dx_proxy_print_states(&table);
    expect(LIFE, "states");
}
END_TEST

START_TEST(outcomes)
{
    dx_proxy_print_outcomes(&table);
    expect(LIFE, "outcomes");
}
END_TEST

START_TEST(placeholders)
{
    dx_proxy_print_placeholders(&table);
    expect(ERRORS, "placeholders");
}
END_TEST

START_TEST(pages)
{
    dx_proxy_print_pages(&table);
    expect(ERRORS, "pages");
}
END_TEST

START_TEST(keys_of_the_access_log)
{
    dx_proxy_print_access(&table);
    expect(LOGS, "access");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("manual");
    TCase *c = tcase_create("manual");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 10);
    tcase_add_test(c, states);
    tcase_add_test(c, outcomes);
    tcase_add_test(c, pages);
    tcase_add_test(c, placeholders);
    tcase_add_test(c, keys_of_the_access_log);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
