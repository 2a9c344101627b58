/* SPDX-License-Identifier: MIT */
/* Words of a command, as compose and as a shell see them, and variables in them. */
#include <check.h>
#include <stdlib.h>

#include "init/internal.h"

static struct init in;
static struct variable *all;
static struct dx_text notes;

static const char *outside(const char *name, void *arg)
{
    (void)arg;
    return strcmp(name, "OUTSIDE") == 0 ? "from outside" : NULL;
}

static void setup(void)
{
    dx_text_init(&notes);
    in = (struct init){.folder = "", .env = outside, .notes = &notes};
    dx_arena_init(&in.arena, NULL, 0);
    all = NULL;
    init_set_pair(&in, &all, DX_SLICE("A=1"), (struct place){"file", 1});
    init_set_pair(&in, &all, DX_SLICE("EMPTY="), (struct place){"file", 2});
}

static void teardown(void)
{
    ck_assert(!in.no_memory);
    dx_arena_reset(&in.arena);
    dx_text_fini(&notes);
}

/* The words with a bar between them; `;` where one ends a command. */
static void check_split(const char *text, bool shell, const char *expected)
{
    struct words words = {NULL, 0, 0};
    struct dx_text got;
    dx_text_init(&got);
    init_split(&in, dx_slice_str(text), (struct place){"file", 1}, shell, all, &words);
    for (size_t i = 0; i < words.n; i++)
        dx_text_addf(&got, "%s%s%.*s", i ? "|" : "", words.at[i].ends ? "!" : "",
                     DX_SLICE_ARGS(words.at[i].text));
    ck_assert_str_eq(got.p ? got.p : "", expected);
    dx_text_fini(&got);
}

static void check_expand(const char *text, bool compose, const char *expected)
{
    struct dx_slice got = init_expand(&in, dx_slice_str(text), all, compose);
    ck_assert_msg(dx_slice_eq(got, dx_slice_str(expected)), "%s became %.*s, not %s", text,
                  DX_SLICE_ARGS(got), expected);
}

START_TEST(as_compose_splits)
{
    check_split("", false, "");
    check_split("  gunicorn  a.wsgi\n -b :80 ", false, "gunicorn|a.wsgi|-b|:80");
    check_split("sh -c \"a && b 'c d'\"", false, "sh|-c|a && b 'c d'");
    check_split("a'b c'\"d\" '' x\\ y", false, "ab cd||x y");
    check_split("a && b; $A # no comment", false, "a|&&|b;|$A|#|no|comment");
    check_split("open 'quote", false, "open|quote");
    check_split("end\\", false, "end");
}
END_TEST

START_TEST(as_a_shell_splits)
{
    check_split("a && b; c|d &", true, "a|!;|!;|b|!;|c|!;|d|!;");
    check_split("a \\\n  b # c d\ne", true, "a|b|!;|e");
    check_split("x#y \"$A\" '$A' $A${A}", true, "x#y|1|$A|11");
    check_split("-w $(nproc --all) `a b` $((2 * (A + 1)))x", true,
                "-w|$(nproc --all)|`a b`|$((2 * (A + 1)))x");
    check_split("(a) $(open", true, "!;|a|!;|$|!;|open");
}
END_TEST

START_TEST(lines_are_counted)
{
    struct words words = {NULL, 0, 0};
    init_split(&in, DX_SLICE("a\nb \\\n c 'x\ny' d\n\ne"), (struct place){"file", 10}, true, all, &words);

    ck_assert_uint_eq(words.at[0].at.line, 10);
    ck_assert_uint_eq(words.at[2].at.line, 11);
    ck_assert_uint_eq(words.at[words.n - 1].at.line, 15);
}
END_TEST

START_TEST(variables)
{
    check_expand("$A-${A}", false, "1-1");
    check_expand("${B:-x} ${EMPTY:-x} ${EMPTY-x}|", false, "x x |");
    check_expand("$B ${B} ${B:?must} $ $1 ${", false, "$B ${B} ${B:?must} $ $1 ${");
    check_expand("$$A $$(x)", true, "$A $(x)");
    check_expand("$OUTSIDE", true, "from outside");
    check_expand("$OUTSIDE", false, "$OUTSIDE");
    init_set_pair(&in, &all, DX_SLICE("OUTSIDE"), (struct place){"file", 3});
    init_set_pair(&in, &all, DX_SLICE("NOWHERE"), (struct place){"file", 4});
    check_expand("$OUTSIDE $NOWHERE", false, "from outside $NOWHERE");
    init_set_pair(&in, &all, DX_SLICE("A=2"), (struct place){"file", 5});
    check_expand("$A", false, "2");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("words");
    TCase *c = tcase_create("words");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, as_compose_splits);
    tcase_add_test(c, as_a_shell_splits);
    tcase_add_test(c, lines_are_counted);
    tcase_add_test(c, variables);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
