/* SPDX-License-Identifier: MIT */
/* docs/life-of-a-request.md shows the tables of states and outcomes as they are in the code, between marks.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "diplex/base/text.h"
#include "diplex/os/fd.h"
#include "diplex/proxy.h"

#define DOC     DIPLEX_SOURCE_DIR "/docs/life-of-a-request.md"
#define DOC_MAX (1024u * 1024)

static char *doc;
static struct dx_text table;

static void setup(void)
{
    size_t n;
    dx_text_init(&table);
    ck_assert_msg(dx_fd_read_file(DOC, DOC_MAX, &doc, &n), "cannot read %s", DOC);
}

static void teardown(void)
{
    dx_text_fini(&table);
    free(doc);
}

/* What stands between `<!-- name -->` and `<!-- /name -->`, without the empty lines around it. */
static struct dx_slice between(const char *name)
{
    char open[64], close[64];
    (void)snprintf(open, sizeof(open), "<!-- %s -->\n", name);
    (void)snprintf(close, sizeof(close), "<!-- /%s -->", name);
    const char *from = strstr(doc, open);
    ck_assert_msg(from != NULL, "no %s in %s", open, DOC);
    from += strlen(open);
    const char *to = strstr(from, close);
    ck_assert_msg(to != NULL, "no %s in %s", close, DOC);
    while (from < to && *from == '\n')
        from++;
    while (to > from + 1 && to[-1] == '\n' && to[-2] == '\n')
        to--;
    return dx_slice_of(from, (size_t)(to - from));
}

static void expect(const char *name)
{
    struct dx_slice written = between(name), made = dx_slice_of(table.p, table.n);
    ck_assert(!table.failed);
    if (dx_slice_eq(written, made))
        return;
    (void)fprintf(stderr, "between <!-- %s --> and <!-- /%s --> there should be:\n%s", name, name, table.p);
    ck_abort_msg("%s differs from the table of %s in src/proxy", DOC, name);
}

START_TEST(states)
{
    dx_proxy_print_states(&table);
    expect("states");
}
END_TEST

START_TEST(outcomes)
{
    dx_proxy_print_outcomes(&table);
    expect("outcomes");
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
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
